using System.Text.Json;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>A few rounds of tests/outside/crash.py under load. The long run is <c>./build.sh crash</c>.</summary>
[Collection("real servers")]
public sealed class CrashTests
{
    [Fact]
    public async Task What_was_acknowledged_arrives_whatever_is_killed_and_every_duplicate_has_a_cause()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, as master does");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is not null, "runs the published programs: POSTWRIGHT_SBIN is not set");

        CommandRun run = await CommandRun.RunAsync(Path.Combine(TestPrograms.ProjectRoot, "tests/outside/run.sh"), ["crash", "5", "8"], limit: CommandRun.ScriptLimit);
        Assert.True(run.ExitStatus == 0, run.Output + run.Error);
        using JsonDocument counts = JsonDocument.Parse(run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]);
        Assert.Equal(0, counts.RootElement.GetProperty("lost").GetInt32());
        Assert.Equal(0, counts.RootElement.GetProperty("unexplained").GetInt32());
        Assert.True(counts.RootElement.GetProperty("accepted").GetInt32() > 0, run.Output);
    }
}
