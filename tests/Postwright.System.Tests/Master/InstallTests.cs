using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>install and uninstall, over this machine's own directories, in a namespace whose changes vanish.</summary>
[Collection("real servers")]
public sealed class InstallTests
{
    [Fact]
    public async Task Install_leaves_another_mail_system_alone_replaces_it_when_told_to_works_and_goes_without_a_trace()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "installing needs root");
        Assert.SkipUnless(File.Exists(Path.Combine(TestPrograms.ProjectRoot, "artifacts/sbin/postwright")), "nothing is published in artifacts/sbin");
        Assert.SkipUnless(File.Exists("/usr/bin/dpkg-divert") && File.Exists("/usr/sbin/postconf"), "this is not a Debian with Postfix");
        CommandRun namespaces = await CommandRun.RunAsync("unshare", ["--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]);
        Assert.SkipUnless(namespaces.ExitStatus == 0, "namespaces are not allowed here: " + namespaces.Error);
        string scratch = Directory.CreateTempSubdirectory("postwright-install-").FullName;
        try
        {
            string script = Path.Combine(TestPrograms.ProjectRoot, "tests/Postwright.System.Tests/Master/install-in-namespace.sh");
            CommandRun run = await CommandRun.RunAsync(
                "unshare", ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", script, TestPrograms.ProjectRoot, scratch], limit: CommandRun.ScriptLimit);
            Assert.True(run.ExitStatus == 0, run.Output + run.Error);
            Assert.Equal(
                """
                left alone
                /usr/sbin/postdrop root:postdrop 2755
                /usr/sbin/postqueue root:postdrop 2755
                /usr/sbin/postlog root:postdrop 2755
                /var/spool/postfix root:root 755
                /var/spool/postfix/maildrop postfix:postdrop 730
                /var/spool/postfix/public postfix:postdrop 710
                postwright
                ../sbin/sendmail
                ../sbin/sendmail
                Subject: installed
                1
                uninstalled. Configuration, queue and mail are still there.
                configuration kept
                the old postconf is back
                done
                """.ReplaceLineEndings("\n"),
                run.Output.TrimEnd());
        }
        finally
        {
            Directory.Delete(scratch, recursive: true);
        }
    }
}
