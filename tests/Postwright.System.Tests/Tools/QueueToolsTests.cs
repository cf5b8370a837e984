using System.Net.Sockets;
using System.Text.RegularExpressions;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

/// <summary>What administrators do with the queue, while the system runs and while it is down.</summary>
public sealed partial class QueueToolsTests
{
    private const string Paused = "default_transport = retry:4.3.0 mail is paused\nfast_flush_domains = y.z";

    [Fact]
    public async Task Mail_submitted_while_the_system_is_down_goes_out_when_it_comes_up()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        Directory.CreateDirectory(Path.Combine(server.QueueDirectory, "maildrop"));
        CommandRun sent = await server.RunAsync("sendmail", ["-f", "joe@example.test", "root@example.test"], "Subject: subject\n\ntest\n");
        Assert.Equal(0, sent.ExitStatus);

        CommandRun listed = await server.RunAsync("postqueue", ["-p"]);
        Assert.Equal(0, listed.ExitStatus);
        Assert.StartsWith("postqueue: warning: Mail system is down -- accessing queue directly", listed.Error, StringComparison.Ordinal);
        Assert.Contains("joe@example.test\n" + new string(' ', 41) + "root@example.test\n\n-- 0 Kbytes in 1 Request.\n", listed.Output, StringComparison.Ordinal);

        await server.StartAsync();
        string mail = Assert.Single(await server.MailAsync("root"));
        Assert.Contains("Subject: subject\n", mail, StringComparison.Ordinal);
        Assert.Contains("(Postfix, from userid ", mail, StringComparison.Ordinal);

        // Its file goes once it is in the queue, which need not be before it is delivered.
        await Until.True(() => Directory.GetFiles(Path.Combine(server.QueueDirectory, "maildrop")).Length == 0, () => server.Log);

        await server.RunAsync("sendmail", ["-t"], "To: ann@example.test\nSubject: woken\n\ntest\n");
        Assert.Contains("Subject: woken\n", Assert.Single(await server.MailAsync("ann")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-p")]
    [InlineData("-j")]
    public async Task A_listing_that_is_cut_off_is_an_error_and_no_empty_queue(string mode)
    {
        await using ServerInstance server = await ServerInstance.StartAsync(start: false);
        string path = Path.Combine(server.QueueDirectory, "public", "control");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        Task<CommandRun> listing = server.RunAsync("postqueue", [mode]);

        // Closed with the request unread, as by a process that is killed: the client's read fails.
        using (Socket session = await listener.AcceptAsync(TestContext.Current.CancellationToken))
        {
            Assert.True(session.Poll(TimeSpan.FromSeconds(60), SelectMode.SelectRead));
        }

        CommandRun run = await listing;
        Assert.Equal((69, ""), (run.ExitStatus, run.Output));
        Assert.Contains("malformed showq server response", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_running_queue_is_listed_held_released_requeued_and_deleted()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(Paused);
        Assert.Equal("Mail queue is empty\n", (await server.RunAsync("postqueue", ["-p"])).Output);
        Assert.Equal("", (await server.RunAsync("postqueue", ["-j"])).Output);
        string id = await QueueAsync(server);

        CommandRun listed = await server.RunAsync("mailq", []);
        Assert.Equal("", listed.Error);
        Assert.Matches(
            "^-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"
            + id + " +\\d+ \\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d  \"a b\"@c\\.d\n {62}\\(mail is paused\\)\n {41}x@y\\.z\n\n-- 0 Kbytes in 1 Request\\.\n$", listed.Output);
        Assert.Matches(
            "^\\{\"queue_name\": \"deferred\", \"queue_id\": \"" + id + "\", \"arrival_time\": \\d+, \"message_size\": \\d+, \"forced_expire\": false, \"sender\": \"\\\\\"a b\\\\\"@c\\.d\", "
            + "\"recipients\": \\[\\{\"orig_address\": \"x@y\\.z\", \"address\": \"x@y\\.z\", \"delay_reason\": \"mail is paused\"\\}\\]\\}\n$",
            (await server.RunAsync("postqueue", ["-j"])).Output);

        await ExpectAsync(server, ["-h", id], $"postsuper: {id}: placed on hold\npostsuper: Placed on hold: 1 message\n");
        await ExpectAsync(server, ["-h", id], "postsuper: Placed on hold: 0 messages\n");
        Assert.Contains($"\n{id}! ", (await server.RunAsync("postqueue", ["-p"])).Output, StringComparison.Ordinal);
        await ExpectAsync(server, ["-H", "-"], $"postsuper: {id}: released from hold\npostsuper: Released from hold: 1 message\n", $"NOSUCH\n{id}\n");
        await ExpectAsync(server, ["-d", "x.y"], "postsuper: warning: invalid mail queue id: x.y\npostsuper: Deleted: 0 messages\n");
        await ExpectAsync(server, ["-d", "ALL", "hold"], "postsuper: Deleted: 0 messages\n");

        CommandRun shown = await server.RunAsync("postcat", ["-e", $"/var/spool/postfix/deferred/{id}"]);
        Assert.Contains("\nsender: a b@c.d\noriginal_recipient: x@y.z\nrecipient: x@y.z\n", shown.Output, StringComparison.Ordinal);
        Assert.Contains("\nSubject: t\n", (await server.RunAsync("postcat", ["-qh", id])).Output, StringComparison.Ordinal);

        foreach (string[] flush in (string[][])[["-f"], ["-i", id], ["-s", "y.z"]])
        {
            CommandRun run = await server.RunAsync("postqueue", flush);
            Assert.Equal((0, ""), (run.ExitStatus, run.Error));
        }

        Assert.Equal(69, (await server.RunAsync("postqueue", ["-s", "other.example"])).ExitStatus);
        await ServerInstance.UntilAsync(
            async () => (await server.RunAsync("postsuper", ["-r", "ALL"])).Error == "postsuper: Requeued: 1 message\n", () => server.Log);
        await ServerInstance.UntilAsync(
            async () => (await server.RunAsync("postsuper", ["-d", "ALL"])).Error == "postsuper: Deleted: 1 message\n", () => server.Log);
        Assert.Equal("Mail queue is empty\n", (await server.RunAsync("postqueue", ["-p"])).Output);
        Assert.Contains(": placed on hold\n", server.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_queue_of_a_stopped_system_is_read_and_changed_directly()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(Paused);
        string id = await QueueAsync(server);
        await server.KillAsync();

        CommandRun listed = await server.RunAsync("postqueue", ["-p"]);
        Assert.StartsWith("postqueue: warning: Mail system is down -- accessing queue directly", listed.Error, StringComparison.Ordinal);
        Assert.Contains($"\n{id} ", listed.Output, StringComparison.Ordinal);
        Assert.Contains("\nSubject: t\n", (await server.RunAsync("postcat", ["-qh", id])).Output, StringComparison.Ordinal);
        CommandRun flushed = await server.RunAsync("postqueue", ["-f"]);
        Assert.Equal((69, "postqueue: fatal: Cannot flush mail queue - mail system is down\n"), (flushed.ExitStatus, flushed.Error));

        await ExpectAsync(server, ["-h", id], $"postsuper: {id}: placed on hold\npostsuper: Placed on hold: 1 message\n");
        Assert.Contains($"\n{id}! ", (await server.RunAsync("postqueue", ["-p"])).Output, StringComparison.Ordinal);
        await ExpectAsync(server, ["-d", id], $"postsuper: {id}: removed\npostsuper: Deleted: 1 message\n");
        Assert.Equal("Mail queue is empty\n", (await server.RunAsync("postqueue", ["-p"])).Output);
    }

    [Theory]
    [InlineData("postqueue", "", 69, "postqueue: fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site\n")]
    [InlineData("postqueue", "-p -f", 69, "postqueue: fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site\n")]
    [InlineData("postqueue", "-i X-Y", 69, "postqueue: fatal: Cannot flush queue ID - invalid name: \"X-Y\"\n")]
    [InlineData("postqueue", "-s a_b!", 69, "postqueue: fatal: Cannot flush mail queue - invalid destination: \"a_b!\"\n")]
    [InlineData("postsuper", "-d ALL nosuch", 1, "postsuper: fatal: invalid directory name: nosuch\n")]
    public async Task Usage_errors_have_Postfix_words_and_statuses(string command, string arguments, int status, string error)
    {
        using var queue = new LocalQueue();
        CommandRun run = await queue.RunAsync(command, "", arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal((status, error), (run.ExitStatus, run.Error));
    }

    private static async Task<string> QueueAsync(ServerInstance server)
    {
        CommandRun sent = await server.RunAsync("sendmail", ["-f", "\"a b\"@c.d", "x@y.z"], "Subject: t\n\nhi\n");
        Assert.Equal(0, sent.ExitStatus);
        await server.LoggedAsync("status=deferred (mail is paused)");
        string id = "";
        await ServerInstance.UntilAsync(
            async () => (id = DeferredId().Match((await server.RunAsync("postqueue", ["-p"])).Output).Groups[1].Value).Length > 0, () => server.Log);
        return id;
    }

    private static async Task ExpectAsync(ServerInstance server, string[] arguments, string said, string input = "")
    {
        CommandRun run = await server.RunAsync("postsuper", arguments, input);
        Assert.Equal((0, said), (run.ExitStatus, run.Error));
    }

    /// <summary>Not in delivery any more: no status character after the ID.</summary>
    [GeneratedRegex("^([0-9A-Za-z]+) ", RegexOptions.Multiline)]
    private static partial Regex DeferredId();
}
