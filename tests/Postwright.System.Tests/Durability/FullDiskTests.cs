using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>A queue on a file system that is really full.</summary>
[Collection("real servers")]
public sealed class FullDiskTests
{
    // Contents in the queue's log, and in files of their own.
    [Theory]
    [InlineData(60_000)]
    [InlineData(400_000)]
    public async Task On_a_full_disk_mail_is_refused_for_now_and_what_was_acknowledged_is_delivered(int bodyBytes)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting needs root");
        await using ServerInstance server = await ServerInstance.StartAsync("""
            spool_segment_size = 4194304
            queue_minfree = 0
            message_size_limit = 1000000
            minimal_backoff_time = 1s
            maximal_backoff_time = 2s
            queue_run_delay = 1s
            smtpd_soft_error_limit = 10000
            smtpd_hard_error_limit = 10000
            defer_transports = virtual
            """, start: false);
        CommandRun mounted = await CommandRun.RunAsync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", server.QueueDirectory]);
        Assert.SkipUnless(mounted.ExitStatus == 0, $"no tmpfs can be mounted here: {mounted.Error}");
        try
        {
            // Mail waits in the queue, so that it fills the disk.
            await server.StartAsync();
            NumberedMail numbers = new(server, bodyBytes);
            IReadOnlyList<string> refusals = await numbers.LoadAsync(4, static reply => !reply.StartsWith("250 ", StringComparison.Ordinal));
            Assert.NotEmpty(refusals);

            // At MAIL, which knows of queue_minfree, or after the content.
            Assert.All(refusals, static reply => Assert.Matches("^452 4.3.1 (Insufficient|Error: insufficient) system storage$", reply));
            Assert.InRange(numbers.Acknowledged, 20, 1000);

            // Still full for the next one, unless clearing up just made room for it.
            await using (SmtpTestClient client = await numbers.ConnectAsync())
            {
                Assert.Matches("^(452 4.3.1|250 2.0.0) ", await numbers.SendAsync(client));
            }

            // Deliveries go on, and their end makes room for new mail.
            await server.RunAsync("postconf", ["defer_transports="]);
            await server.RunAsync("postfix", ["reload"]);
            await numbers.AllArriveAsync();
            await numbers.UntilTakenAsync();
            await numbers.AllArriveAsync();
        }
        finally
        {
            await server.KillAsync();
            await CommandRun.RunAsync("umount", ["-l", server.QueueDirectory]);
        }
    }

    [Fact]
    public async Task Mail_for_a_full_mailbox_disk_waits_and_arrives_whole()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting needs root");
        await using ServerInstance server = await ServerInstance.StartAsync("""
            minimal_backoff_time = 1s
            maximal_backoff_time = 2s
            queue_run_delay = 1s
            """);
        CommandRun mounted = await CommandRun.RunAsync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=755,uid=65534,gid=65534", "tmpfs", server.MailDirectory]);
        Assert.SkipUnless(mounted.ExitStatus == 0, $"no tmpfs can be mounted here: {mounted.Error}");
        try
        {
            NumberedMail numbers = new(server, bodyBytes: 60_000);
            await using (SmtpTestClient client = await numbers.ConnectAsync())
            {
                for (int i = 0; i < 40; i++)
                {
                    Assert.StartsWith("250 ", await numbers.SendAsync(client), StringComparison.Ordinal);
                }
            }

            await server.LoggedAsync("status=deferred");
            Assert.Contains("No space left on device", server.Log, StringComparison.Ordinal);
            CommandRun remounted = await CommandRun.RunAsync("mount", ["-o", "remount,size=64m", server.MailDirectory]);
            Assert.True(remounted.ExitStatus == 0, remounted.Error);
            await numbers.AllArriveAsync();
            Assert.DoesNotContain("status=bounced", server.Log, StringComparison.Ordinal);
            Assert.Equal(40, Directory.GetFiles(Path.Combine(server.MailDirectory, "numbers", "new")).Length);
            Assert.Empty(Directory.GetFiles(Path.Combine(server.MailDirectory, "numbers", "tmp")));
        }
        finally
        {
            await server.KillAsync();
            await CommandRun.RunAsync("umount", ["-l", server.MailDirectory]);
        }
    }
}
