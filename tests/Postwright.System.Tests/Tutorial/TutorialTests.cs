using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tutorial;

/// <summary>The commands of docs/tutorial.md, typed on a machine of their own after an installation.</summary>
[Collection("real servers")]
public sealed class TutorialTests
{
    [Fact]
    public async Task Everything_that_the_tutorial_teaches_works_as_taught()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, to make namespaces");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is not null, "installs the published programs: POSTWRIGHT_SBIN is not set");
        Assert.SkipUnless(File.Exists("/usr/bin/mail") && File.Exists("/usr/bin/swaks"), "mail or swaks is not installed");

        CommandRun run = await CommandRun.RunAsync(Path.Combine(TestPrograms.ProjectRoot, "tests/tutorial/run.sh"), [], limit: CommandRun.ScriptLimit);
        Assert.True(run.ExitStatus == 0, run.Output + run.Error);
        Assert.Contains("commands typed", run.Output, StringComparison.Ordinal);
    }
}
