using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

/// <summary>postmulti against Postfix's own, each over an /etc/postfix of its own in a namespace whose changes vanish.</summary>
public sealed class PostmultiTests
{
    [Fact]
    public async Task Instances_are_made_named_listed_run_and_removed_as_by_Postfixs_postmulti()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting needs root");
        Assert.SkipUnless(File.Exists("/usr/sbin/postmulti") && new FileInfo("/usr/sbin/postmulti").LinkTarget is null, "Postfix is not installed");
        CommandRun namespaces = await CommandRun.RunAsync("unshare", ["--mount", "--pid", "--fork", "--mount-proc", "true"]);
        Assert.SkipUnless(namespaces.ExitStatus == 0, "namespaces are not allowed here: " + namespaces.Error);

        // Links to all that the scripts call, so that the two folders differ in what they hold alone.
        _ = TestPrograms.PathOf("postmulti");
        _ = TestPrograms.PathOf("postfix");
        Task<string[]> theirs = RunAsync("/usr/sbin");
        string[] ours = await RunAsync(TestPrograms.SbinDirectory);

        Assert.Equal(await theirs, ours);
        Assert.True(ours.Length > 150, string.Join('\n', ours));
    }

    private static async Task<string[]> RunAsync(string sbin)
    {
        string scratch = Directory.CreateTempSubdirectory("postwright-postmulti-").FullName;
        try
        {
            string script = Path.Combine(TestPrograms.ProjectRoot, "tests/Postwright.System.Tests/Tools/postmulti-in-namespace.sh");
            CommandRun run = await CommandRun.RunAsync(
                "unshare", ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", script, scratch, sbin], limit: CommandRun.ScriptLimit);

            // rmdir says the same again in its own words.
            return [.. (run.Output + run.Error).Split('\n').Where(line => !line.StartsWith("rmdir: ", StringComparison.Ordinal))];
        }
        finally
        {
            Directory.Delete(scratch, recursive: true);
        }
    }
}
