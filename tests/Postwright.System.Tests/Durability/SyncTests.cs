using System.Diagnostics;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>
/// What strace sees of a real server: the order of sync and reply, and what is said when syncs fail.
/// </summary>
[Collection("real servers")]
public sealed class SyncTests
{
    private const string Strace = "/usr/bin/strace";

    [Fact]
    public async Task Every_message_is_synced_between_its_354_and_its_250()
    {
        Assert.SkipUnless(File.Exists(Strace), "strace is not installed");
        string trace = Path.GetTempFileName();
        await using ServerInstance server = await ServerInstance.StartAsync("virtual_transport = discard:",
            wrapper: [Strace, "-f", "-qq", "-s", "64", "-o", trace, "-e", "trace=fsync,fdatasync,sendto,sendmsg,write"]);
        await using (SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port))
        {
            await client.AskAsync("EHLO client.example");
            for (int i = 0; i < 10; i++)
            {
                Assert.StartsWith("250 2.0.0 Ok: queued as", await client.MailAsync("a@example.org", "user@example.test", "Subject: x\n\nbody"), StringComparison.Ordinal);
            }
        }

        await server.StopAsync();
        string[] lines = await File.ReadAllLinesAsync(trace, TestContext.Current.CancellationToken);
        File.Delete(trace);
        int acknowledged = 0;
        bool synced = false;
        foreach (string line in lines)
        {
            if (line.Contains("\"354 ", StringComparison.Ordinal))
            {
                synced = false;
            }
            else if (line.Contains("sync", StringComparison.Ordinal) && line.TrimEnd().EndsWith("= 0", StringComparison.Ordinal))
            {
                synced = true;
            }
            else if (line.Contains("queued as", StringComparison.Ordinal) && line.Contains("250 2.0.0 Ok", StringComparison.Ordinal)
                && line.Contains("\\r\\n", StringComparison.Ordinal))
            {
                Assert.True(synced, $"250 before the sync: {line}");
                acknowledged++;
            }
        }

        Assert.Equal(10, acknowledged);
    }

    [Fact]
    public async Task While_syncs_fail_nothing_is_acknowledged_and_service_comes_back_by_itself()
    {
        Assert.SkipUnless(File.Exists(Strace), "strace is not installed");
        await using ServerInstance server = await ServerInstance.StartAsync();
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        Assert.StartsWith("250 ", await client.MailAsync("a@example.org", "user@example.test", "Subject: before\n\nbody"), StringComparison.Ordinal);
        await server.MailAsync("user", 1);

        string trace = Path.GetTempFileName();
        using (Process strace = Process.Start(new ProcessStartInfo(Strace,
            ["-f", "-qq", "-o", trace, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO", "-p", $"{server.ProcessId}"]))!)
        {
            try
            {
                // Attached once the first injected failure is in the trace; until then a message may still be taken.
                int taken = 0;
                string reply;
                do
                {
                    reply = await client.MailAsync("a@example.org", "user@example.test", "Subject: during\n\nbody");
                    taken += reply.StartsWith('2') ? 1 : 0;
                }
                while (reply.StartsWith('2') && taken < 10_000);

                Assert.StartsWith("451 4.3.0", reply, StringComparison.Ordinal);
                for (int i = 0; i < 3; i++)
                {
                    Assert.StartsWith("451 4.3.0", await client.MailAsync("a@example.org", "user@example.test", "Subject: during\n\nbody"), StringComparison.Ordinal);
                }
            }
            finally
            {
                strace.Kill();
                await strace.WaitForExitAsync(TestContext.Current.CancellationToken);
            }
        }

        Assert.Contains("(INJECTED)", await File.ReadAllTextAsync(trace, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        File.Delete(trace);
        string last = "";
        await ServerInstance.UntilAsync(async () =>
        {
            last = await client.MailAsync("a@example.org", "later@example.test", "Subject: after\n\nbody");
            return last.StartsWith("250 ", StringComparison.Ordinal);
        }, () => $"service did not come back: {last}");
        Assert.Contains("Subject: after", (await server.MailAsync("later"))[0], StringComparison.Ordinal);
    }
}
