using System.Text.Json;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>
/// Short runs of tests/outside: master, mail and agent as an administrator runs them, under load and disturbed. The long runs are
/// <c>./build.sh crash</c> and <c>./build.sh faults</c>.
/// </summary>
[Collection("real servers")]
public sealed class OutsideTests
{
    private const int Skipped = 77;

    [Fact]
    public async Task What_was_acknowledged_arrives_whatever_is_killed_and_every_duplicate_has_a_cause()
    {
        JsonElement counts = await RunAsync("crash", "5", "8");
        Assert.Equal(0, counts.GetProperty("lost").GetInt32());
        Assert.Equal(0, counts.GetProperty("unexplained").GetInt32());
        Assert.True(counts.GetProperty("accepted").GetInt32() > 0);
    }

    [Fact]
    public async Task Nothing_is_acknowledged_that_is_not_synced_whatever_call_fails_and_service_comes_back()
    {
        JsonElement counts = await RunAsync("faults", "0.3", "8");
        Assert.Equal(0, counts.GetProperty("lost").GetInt32());
        Assert.Equal(0, counts.GetProperty("failures").GetInt32());
        Assert.Equal(8, counts.GetProperty("cells").GetInt32());
    }

    [Fact]
    public async Task On_a_full_file_system_deliveries_go_on_and_mail_is_refused_for_now()
    {
        JsonElement facts = await RunAsync("fulldisk");
        Assert.Equal(0, facts.GetProperty("lost").GetInt32());
        Assert.True(facts.GetProperty("waiting on the full disk").GetInt32() > 0);
    }

    /// <summary>The last line of the script's output, which must have found nothing wrong.</summary>
    private static async Task<JsonElement> RunAsync(params string[] arguments)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, as master does");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is not null, "runs the published programs: POSTWRIGHT_SBIN is not set");

        CommandRun run = await CommandRun.RunAsync(Path.Combine(TestPrograms.ProjectRoot, "tests/outside/run.sh"), arguments, limit: CommandRun.ScriptLimit);
        Assert.SkipWhen(run.ExitStatus == Skipped, run.Output);
        Assert.True(run.ExitStatus == 0, run.Output + run.Error);
        using JsonDocument counts = JsonDocument.Parse(run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]);
        return counts.RootElement.Clone();
    }
}
