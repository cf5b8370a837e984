using Postwright.Testing;
using Postwright.Testing.Dialogues;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Receive;

/// <summary>Every dialogue of tests/dialogues/smtpd and smtpd-size, against sessions in memory. The same files are played against Postfix.</summary>
public sealed class SmtpdDialogueTests
{
    private static readonly IReadOnlyList<Dialogue> All =
        [.. new[] { "smtpd", "smtpd-size" }.SelectMany(static folder => Dialogue.ReadFolder(Path.Combine(TestPrograms.ProjectRoot, "tests/dialogues", folder)))];

    public static TheoryData<string> Names => [.. All.Select(static dialogue => dialogue.ToString())];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_server_says_what_the_file_says(string name)
    {
        Dialogue dialogue = All.Single(one => one.ToString() == name);
        await using SmtpdRig rig = new(dialogue.Settings);
        Assert.Empty(SmtpdRig.Configure(dialogue.Settings).Errors);
        MemoryConnection client = rig.Connect();
        IReadOnlyList<DialogueMismatch> mismatches = await new DialoguePlayer(client).PlayAsync(dialogue);
        await client.DisposeAsync();
        await rig.SessionsEndAsync();
        Assert.True(mismatches.Count == 0, string.Join('\n', mismatches) + "\n" + string.Join('\n', rig.Log.All));
        CheckLog(dialogue, rig.Log.All);
        await CheckStoredAsync(dialogue, rig);
    }

    [Fact]
    public void There_are_dialogues() => Assert.True(All.Count > 20);

    private static void CheckLog(Dialogue dialogue, IReadOnlyList<string> lines)
    {
        int next = 0;
        foreach (DialogueStep step in dialogue.Steps.Where(static step => step.Kind == StepKind.Log))
        {
            int found = next;
            while (found < lines.Count && !Dialogue.Matches(step.Text, lines[found][(lines[found].IndexOf(": ", StringComparison.Ordinal) + 2)..]))
            {
                found++;
            }

            Assert.True(found < lines.Count, $"line {step.Line}: not in the log: {step.Text}\n{string.Join('\n', lines)}");
            next = found + 1;
        }
    }

    private static async Task CheckStoredAsync(Dialogue dialogue, SmtpdRig rig)
    {
        DialogueStep[] expected = [.. dialogue.Steps.Where(static step => step.Kind == StepKind.Stored)];
        if (expected.Length == 0)
        {
            return;
        }

        string[] lines = [.. (await rig.MessagesAsync()).SelectMany(static message => message.Content.Split("\r\n"))];
        int next = 0;
        foreach (DialogueStep step in expected)
        {
            int found = Array.FindIndex(lines, Math.Min(next, lines.Length), line => Dialogue.Matches(step.Text, line));
            Assert.True(found >= 0, $"line {step.Line}: not in the message: {step.Text}\n{string.Join('\n', lines)}");
            next = found + 1;
        }
    }
}
