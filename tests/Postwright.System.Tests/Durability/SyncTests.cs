using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>
/// What strace sees of a real server: the order of sync and reply, and what is said when syncs fail.
/// </summary>
[Collection("real servers")]
public sealed class SyncTests
{
    [Fact]
    public async Task The_bytes_of_every_message_are_written_and_synced_before_its_250()
    {
        Assert.SkipUnless(File.Exists(AttachedStrace.Program), "strace is not installed");
        const int Sessions = 8;
        string path = Path.GetTempFileName();
        await using ServerInstance server = await ServerInstance.StartAsync("virtual_transport = discard:",
            wrapper: [AttachedStrace.Program, "-f", "-qq", "-y", "-s", "400000", "-o", path, "-e", "trace=fsync,fdatasync,pwrite64,pwritev,sendto,sendmsg,write"]);
        (string Mark, string QueueId, bool IsLarge)[][] sent = await Task.WhenAll(Enumerable.Range(0, Sessions).Select(session => SendAsync(server.Port, session)));
        await server.StopAsync();
        StraceCall[] calls = StraceCall.Read(await File.ReadAllLinesAsync(path, TestContext.Current.CancellationToken));
        File.Delete(path);
        foreach ((string mark, string id, bool isLarge) in sent.SelectMany(static one => one))
        {
            StraceCall reply = Assert.Single(calls, call => call.Name is "sendto" or "sendmsg" or "write" && call.Arguments.Contains($"queued as {id}\\r\\n", StringComparison.Ordinal));
            Assert.True(IsDurable(calls, ".log", id, reply.Begin), $"{id}: 250 before its record was on the disk");
            Assert.True(IsDurable(calls, isLarge ? ".content" : ".log", mark, reply.Begin), $"{id}: 250 before its content was on the disk");
        }
    }

    /// <summary>True when a write of the text ended before a good sync of the same file began that ended before the time.</summary>
    private static bool IsDurable(StraceCall[] calls, string suffix, string text, int before)
    {
        IEnumerable<StraceCall> writes = calls.Where(call => call.Name is "pwrite64" or "pwritev" && call.Result > 0
            && call.File.EndsWith(suffix, StringComparison.Ordinal) && call.Arguments.Contains(text, StringComparison.Ordinal));
        return writes.Any(write => calls.Any(sync => sync.Name is "fdatasync" or "fsync" && sync.Result == 0 && sync.File == write.File
            && sync.Begin > write.End && sync.End < before));
    }

    private static async Task<(string Mark, string QueueId, bool IsLarge)[]> SendAsync(int port, int session)
    {
        List<(string, string, bool)> sent = [];
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(port);
        await client.AskAsync("EHLO client.example");
        for (int i = 0; i < 12; i++)
        {
            bool isLarge = i % 6 == 5;
            string mark = $"mark-{session}-{i}-";
            string filler = isLarge ? string.Concat(Enumerable.Repeat("a line of a large message\n", 8000)) : "";
            string reply = await client.MailAsync("a@example.org", "user@example.test", $"Subject: {mark}\n\nbody\n{filler}");
            Assert.StartsWith("250 2.0.0 Ok: queued as ", reply, StringComparison.Ordinal);
            sent.Add((mark, reply["250 2.0.0 Ok: queued as ".Length..].Trim(), isLarge));
        }

        return [.. sent];
    }

    [Fact]
    public async Task While_syncs_fail_nothing_is_acknowledged_and_service_comes_back_by_itself()
    {
        Assert.SkipUnless(File.Exists(AttachedStrace.Program), "strace is not installed");
        await using ServerInstance server = await ServerInstance.StartAsync();
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        Assert.StartsWith("250 ", await client.MailAsync("a@example.org", "user@example.test", "Subject: before\n\nbody"), StringComparison.Ordinal);
        await server.MailAsync("user", 1);

        AttachedStrace strace = await AttachedStrace.AttachAsync(server.ProcessId, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO");
        await using (strace)
        {
            for (int i = 0; i < 4; i++)
            {
                Assert.StartsWith("451 4.3.0", await client.MailAsync("a@example.org", "user@example.test", "Subject: during\n\nbody"), StringComparison.Ordinal);
            }
        }

        Assert.Contains("(INJECTED)", await File.ReadAllTextAsync(strace.TracePath, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        File.Delete(strace.TracePath);
        string last = "";
        await ServerInstance.UntilAsync(async () =>
        {
            last = await client.MailAsync("a@example.org", "later@example.test", "Subject: after\n\nbody");
            return last.StartsWith("250 ", StringComparison.Ordinal);
        }, () => $"service did not come back: {last}");
        Assert.Contains("Subject: after", (await server.MailAsync("later"))[0], StringComparison.Ordinal);
    }
}
