using System.Net;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Testing;
using Postwright.Testing.Dialogues;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Differential;

/// <summary>
/// The dialogues of tests/dialogues/smtpd and smtpd-size against the installed Postfix. What they expect of Postwright they must find here
/// too, but for the lines in tests/oracle-differences.
/// </summary>
[Collection(nameof(RealDaemons))]
public sealed class SmtpdDifferentialTests
{
    /// <summary>In the others a setting is smtpd's alone: a row of master.cf has it.</summary>
    [Fact]
    public async Task Postfix_says_what_the_dialogues_say_whose_settings_are_the_whole_systems()
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        SocketNetwork network = new(TimeProvider.System);
        foreach (Dialogue dialogue in Dialogue.ReadFolder(Path.Combine(TestPrograms.ProjectRoot, "tests/dialogues/smtpd-size")))
        {
            await using PostfixInstance postfix = await PostfixInstance.StartAsync(DialogueSettings.MainCf + "\n" + dialogue.Settings, [[]]);
            await using IConnection connection = await network.ConnectAsync(
                new IPEndPoint(IPAddress.Loopback, postfix.Ports[0]), null, TestContext.Current.CancellationToken);
            IReadOnlyList<DialogueMismatch> differences = await new DialoguePlayer(connection).PlayAsync(dialogue);
            Assert.True(differences.Count == 0, $"{dialogue}, {string.Join('\n', differences)}\n{postfix.Log}");
        }
    }

    [Fact]
    public async Task Postfix_says_what_the_dialogues_say()
    {
        Assert.SkipWhen(PostfixInstance.Obstacle is not null, PostfixInstance.Obstacle ?? "");
        string tests = Path.Combine(TestPrograms.ProjectRoot, "tests");
        OracleDifferences known = OracleDifferences.Read(Path.Combine(tests, "oracle-differences"));
        Dialogue[] dialogues = [.. Dialogue.ReadFolder(Path.Combine(tests, "dialogues/smtpd")).Where(dialogue => !known.Skips(dialogue))];
        await using PostfixInstance postfix = await PostfixInstance.StartAsync(
            DialogueSettings.MainCf, [.. dialogues.Select(static dialogue => dialogue.Settings.Split('\n', StringSplitOptions.RemoveEmptyEntries))]);
        SocketNetwork network = new(TimeProvider.System);
        List<string> differences = [];
        for (int i = 0; i < dialogues.Length; i++)
        {
            await using IConnection connection = await network.ConnectAsync(
                new IPEndPoint(IPAddress.Loopback, postfix.Ports[i]), null, TestContext.Current.CancellationToken);
            foreach (DialogueMismatch mismatch in await new DialoguePlayer(connection).PlayAsync(dialogues[i]))
            {
                if (!known.Allows(dialogues[i], mismatch))
                {
                    differences.Add($"{dialogues[i]}, {mismatch}");
                }
            }
        }

        Assert.True(differences.Count == 0, string.Join('\n', differences) + "\n" + string.Join('\n', postfix.Log.Split('\n').Where(static line => line.Contains("fatal:", StringComparison.Ordinal))));
        Assert.True(known.Unused.Count == 0, "unused in tests/oracle-differences:\n" + string.Join('\n', known.Unused));
    }
}

/// <summary>Tests with real daemons run one after the other.</summary>
[CollectionDefinition(nameof(RealDaemons))]
public sealed class RealDaemons;
