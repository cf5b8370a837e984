using System.Text.Json;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>A few rounds of tests/crash: kill -9 of master, mail or agent under load. The long run is <c>./build.sh crash</c>.</summary>
[Collection("real servers")]
public sealed class CrashTests
{
    [Fact]
    public async Task What_was_acknowledged_arrives_whatever_process_is_killed()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, as master does");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is not null, "runs the published programs: POSTWRIGHT_SBIN is not set");

        CommandRun run = await CommandRun.RunAsync(Path.Combine(TestPrograms.ProjectRoot, "tests/crash/run.sh"), ["4", "20"], limit: CommandRun.ScriptLimit);
        Assert.True(run.ExitStatus == 0, run.Output + run.Error);
        using JsonDocument counts = JsonDocument.Parse(run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]);
        Assert.Equal(0, counts.RootElement.GetProperty("lost").GetInt32());
        Assert.True(counts.RootElement.GetProperty("accepted").GetInt32() > 0, run.Output);
    }
}
