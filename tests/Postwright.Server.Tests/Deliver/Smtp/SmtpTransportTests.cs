using System.Net;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Smtp;
using Postwright.Server.Queue;
using Postwright.Testing.Dns;
using Postwright.Testing.Logging;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Deliver.Smtp;

public sealed class SmtpTransportTests
{
    private readonly LogLines _log = new();
    private readonly FakeDns _dns = new();

    [Fact]
    public async Task A_message_is_sent_with_its_dots_stuffed_and_the_servers_words_are_the_reason()
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage);
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"));

        Assert.Equal(DeliveryStatus.Sent, result.Status);
        Assert.Equal("2.0.0", result.Dsn);
        Assert.Equal("250 2.0.0 Ok: queued as TEST", result.Reason);
        Assert.Equal($"127.0.0.1[127.0.0.1]:{server.Port}", result.Relay);
        Assert.Equal(
            ["EHLO client.example", "MAIL FROM:<from@example.org> SIZE=29", "RCPT TO:<to0@example.net> ORCPT=rfc822;to0@example.net", "DATA", "Subject: x", "", "..dot", "...", "end", "."],
            server.Received.Take(10));
    }

    [Fact]
    public async Task A_connect_timeout_of_zero_leaves_the_limit_to_the_system()
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage);
        await using SmtpTransport transport = NewTransport(TimeSpan.Zero);
        RecipientResult result = Assert.Single(await DeliverAsync(transport, $"[127.0.0.1]:{server.Port}", "x\r\n", 1));
        Assert.Equal(DeliveryStatus.Sent, result.Status);
    }

    [Fact]
    public async Task A_server_without_pipelining_gets_one_command_at_a_time()
    {
        await using ScriptedServer server = new("""
            220 old ESMTP
            ?EHLO
            250 old
            ?MAIL
            250 ok
            ?RCPT
            250 ok
            ?RCPT
            550 5.1.1 no such user
            ?DATA
            354 go
            ?.
            250 taken
            ~
            """);
        IReadOnlyList<RecipientResult> results = await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n", recipients: 2);

        Assert.Equal([DeliveryStatus.Sent, DeliveryStatus.Bounced], results.Select(result => result.Status));
        Assert.Equal("host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)", results[1].Reason);
        Assert.Equal("5.1.1", results[1].Dsn);
        Assert.Equal("smtp; 550 5.1.1 no such user", results[1].Diagnostic);
    }

    [Fact]
    public async Task A_server_that_refuses_EHLO_is_greeted_with_HELO()
    {
        await using ScriptedServer server = new("""
            220 ancient
            ?EHLO
            500 what
            ?HELO
            250 ancient
            ?MAIL
            250 ok
            ?RCPT
            250 ok
            ?DATA
            354 go
            ?.
            250 taken
            ~
            """);
        Assert.Equal(DeliveryStatus.Sent, Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n")).Status);
    }

    [Fact]
    public async Task A_long_reply_is_kept_in_part_and_what_it_answers_is_still_said()
    {
        string lines = string.Join('\n', Enumerable.Repeat("450-4.2.1 " + new string('y', 990), 60));
        await using ScriptedServer server = new($"""
            220 x ESMTP
            ?EHLO
            250 x
            ?MAIL
            250 ok
            ?RCPT
            {lines}
            450 4.2.1 later
            ~
            """);
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n"));
        Assert.Equal((DeliveryStatus.Deferred, "4.2.1"), (result.Status, result.Dsn));
        Assert.StartsWith("host 127.0.0.1[127.0.0.1] said: 450-4.2.1 yyy", result.Reason, StringComparison.Ordinal);
        Assert.EndsWith("yyy (in reply to RCPT TO command)", result.Reason, StringComparison.Ordinal);
        Assert.InRange(result.Reason.Length, 2048, 2200);
        Assert.InRange(result.Diagnostic!.Length, 2048, 2100);
    }

    [Fact]
    public async Task A_long_greeting_that_refuses_is_kept_in_part()
    {
        string lines = string.Join('\n', Enumerable.Repeat("554-5.7.1 " + new string('y', 990), 60));
        await using ScriptedServer server = new($"{lines}\n554 5.7.1 go\n~\n");
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n"));
        Assert.Equal(DeliveryStatus.Deferred, result.Status);
        Assert.InRange(result.Reason.Length, 2048, 2200);
    }

    [Theory]
    [InlineData("450 4.2.1 later", DeliveryStatus.Deferred, "4.2.1")]
    [InlineData("550 never", DeliveryStatus.Bounced, "5.0.0")]
    public async Task A_refused_sender_settles_every_recipient(string reply, DeliveryStatus status, string dsn)
    {
        await using ScriptedServer server = new($"""
            220 x ESMTP
            ?EHLO
            250 x
            ?MAIL
            {reply}
            ~
            """);
        IReadOnlyList<RecipientResult> results = await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n", recipients: 2);
        Assert.All(results, result => Assert.Equal(status, result.Status));
        Assert.All(results, result => Assert.Equal(dsn, result.Dsn));
    }

    [Fact]
    public async Task A_refusing_greeting_is_temporary_and_counts_against_the_site()
    {
        await using ScriptedServer server = new("554 go away\n~");
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "x\r\n"));
        Assert.Equal(DeliveryStatus.Deferred, result.Status);
        Assert.Equal("host 127.0.0.1[127.0.0.1] refused to talk to me: 554 go away", result.Reason);
        Assert.True(result.SiteFailure);
    }

    [Fact]
    public async Task A_connection_that_breaks_after_the_final_dot_is_not_tried_elsewhere()
    {
        await using ScriptedServer first = new(IPAddress.Parse("127.0.0.1"), FreePort.Next(), ScriptedServer.OneMessage.Replace("250 2.0.0 Ok: queued as TEST", "!", StringComparison.Ordinal));
        await using ScriptedServer second = new(IPAddress.Parse("127.0.0.2"), first.Port, ScriptedServer.OneMessage);
        _dns.Mx("example.net", 10, "one.example").Mx("example.net", 20, "two.example").Host("one.example", "127.0.0.1").Host("two.example", "127.0.0.2");

        RecipientResult result = Assert.Single(await DeliverAsync($"example.net:{first.Port}", "x\r\n"));
        Assert.Equal(DeliveryStatus.Deferred, result.Status);
        Assert.Equal("lost connection with one.example[127.0.0.1] while sending end of data -- message may be sent more than once", result.Reason);
        Assert.Equal(0, second.Sessions);
    }

    [Fact]
    public async Task The_next_exchanger_is_tried_when_the_first_breaks_off_or_refuses_for_now()
    {
        await using ScriptedServer first = new(IPAddress.Parse("127.0.0.1"), FreePort.Next(), "220 one ESMTP\n?EHLO\n250 one\n?MAIL\n!");
        await using ScriptedServer second = new(IPAddress.Parse("127.0.0.2"), first.Port, ScriptedServer.OneMessage);
        _dns.Mx("example.net", 20, "two.example").Mx("example.net", 10, "one.example").Host("one.example", "127.0.0.1").Host("two.example", "127.0.0.2");

        RecipientResult result = Assert.Single(await DeliverAsync($"example.net:{first.Port}", "x\r\n"));
        Assert.Equal(DeliveryStatus.Sent, result.Status);
        Assert.Equal($"two.example[127.0.0.2]:{first.Port}", result.Relay);
    }

    [Fact]
    public async Task Whom_the_first_exchanger_took_is_told_of_before_the_next_one_answers()
    {
        await using ScriptedServer first = new(IPAddress.Parse("127.0.0.1"), FreePort.Next(), """
            220 one ESMTP
            ?EHLO
            250 one
            ?MAIL
            250 ok
            ?RCPT
            250 ok
            ?RCPT
            450 4.2.0 not now
            ?DATA
            354 go
            ?.
            250 taken
            ~
            """);
        await using ScriptedServer second = new(IPAddress.Parse("127.0.0.2"), first.Port, ScriptedServer.OneMessage);
        _dns.Mx("example.net", 10, "one.example").Mx("example.net", 20, "two.example").Host("one.example", "127.0.0.1").Host("two.example", "127.0.0.2");
        List<string> told = [];
        await using SmtpTransport transport = NewTransport();

        IReadOnlyList<RecipientResult> results = await DeliverAsync(
            transport, $"example.net:{first.Port}", "x\r\n", recipients: 2, early => told.AddRange(early.Select(result => $"{result.Index} {result.Status} {second.Sessions}")));

        Assert.Equal(["0 Sent 0"], told);
        Assert.Equal([DeliveryStatus.Sent, DeliveryStatus.Sent], results.Select(static result => result.Status));
        Assert.Equal(1, second.Sessions);
    }

    [Fact]
    public async Task A_refused_connection_is_logged_and_deferred_in_Postfixs_words()
    {
        int port = FreePort.Next();
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{port}", "x\r\n"));
        Assert.Equal($"connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused", result.Reason);
        Assert.Equal(("4.4.1", "none"), (result.Dsn, result.Relay));
        Assert.Contains($"postfix/smtp: connect to 127.0.0.1[127.0.0.1]:{port}: Connection refused", _log.All);
    }

    [Fact]
    public async Task The_next_message_uses_the_waiting_connection()
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage.TrimEnd('~') + """
            ?MAIL
            250 2.1.0 Ok
            ?RCPT
            250 2.1.5 Ok
            ?DATA
            354 go
            ?.
            250 2.0.0 Ok: second
            ~
            """);
        await using SmtpTransport transport = NewTransport();
        Assert.Equal(1, Assert.Single(await DeliverAsync(transport, $"[127.0.0.1]:{server.Port}", "x\r\n", 1)).ConnectionUses);
        RecipientResult second = Assert.Single(await DeliverAsync(transport, $"[127.0.0.1]:{server.Port}", "y\r\n", 1));
        Assert.Equal(("250 2.0.0 Ok: second", 2), (second.Reason, second.ConnectionUses));
        Assert.Equal(1, server.Sessions);
    }

    [Fact]
    public async Task A_waiting_connection_that_died_is_replaced_without_a_trace()
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage.Replace("~", "!", StringComparison.Ordinal), ScriptedServer.OneMessage);
        await using SmtpTransport transport = NewTransport();
        Assert.Equal(DeliveryStatus.Sent, Assert.Single(await DeliverAsync(transport, $"[127.0.0.1]:{server.Port}", "x\r\n", 1)).Status);
        Assert.Equal(DeliveryStatus.Sent, Assert.Single(await DeliverAsync(transport, $"[127.0.0.1]:{server.Port}", "y\r\n", 1)).Status);
    }

    [Fact]
    public async Task A_message_above_the_servers_size_bounces_without_being_sent()
    {
        await using ScriptedServer server = new(ScriptedServer.OneMessage.Replace("SIZE 10240000", "SIZE 10", StringComparison.Ordinal));
        RecipientResult result = Assert.Single(await DeliverAsync($"[127.0.0.1]:{server.Port}", "0123456789\r\n"));
        Assert.Equal((DeliveryStatus.Bounced, "5.3.4"), (result.Status, result.Dsn));
    }

    [Fact]
    public async Task A_domain_that_does_not_exist_bounces_and_one_whose_lookup_fails_is_deferred()
    {
        _dns.Failing("slow.example");
        Assert.Equal((DeliveryStatus.Bounced, "5.4.4"), Verdict(await DeliverAsync("gone.example", "x\r\n")));
        Assert.Equal((DeliveryStatus.Deferred, "4.4.3"), Verdict(await DeliverAsync("slow.example", "x\r\n")));
    }

    [Fact]
    public async Task A_null_MX_takes_no_mail_and_an_exchanger_that_is_us_loops()
    {
        _dns.Mx("null.example", 0, ".").Mx("us.example", 10, "self.example").Host("self.example", "192.0.2.1");
        Assert.Equal("Domain null.example does not accept mail (nullMX)", Assert.Single(await DeliverAsync("null.example", "x\r\n")).Reason);
        RecipientResult loop = Assert.Single(await DeliverAsync("us.example", "x\r\n"));
        Assert.Equal(("5.4.6", "mail for us.example loops back to myself"), (loop.Dsn, loop.Reason));
    }

    [Fact]
    public async Task A_cache_without_sessions_runs_no_timer()
    {
        // Each reload leaves one behind.
        WatchedTime time = new();
        await using SmtpConnectionCache cache = new(new SmtpClientOptions { HeloName = "client.example" }, time);
        Assert.Equal([Timeout.InfiniteTimeSpan], time.Due);
    }

    private sealed class WatchedTime : TimeProvider
    {
        public List<TimeSpan> Due { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Due.Add(dueTime);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private static (DeliveryStatus, string) Verdict(IReadOnlyList<RecipientResult> results) => (results[0].Status, results[0].Dsn);

    private async Task<IReadOnlyList<RecipientResult>> DeliverAsync(string nextHop, string content, int recipients = 1)
    {
        await using SmtpTransport transport = NewTransport();
        return await DeliverAsync(transport, nextHop, content, recipients);
    }

    private static async Task<IReadOnlyList<RecipientResult>> DeliverAsync(
        SmtpTransport transport, string nextHop, string content, int recipients, Action<IReadOnlyList<RecipientResult>>? decided = null)
    {
        EnvelopeRecipient[] rows = [.. Enumerable.Range(0, recipients).Select(i => new EnvelopeRecipient($"to{i}@example.net", $"to{i}@example.net"))];
        byte[] bytes = Encoding.Latin1.GetBytes(content);
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(2));
        return await transport.DeliverAsync(new DeliveryRequest
        {
            Envelope = new Envelope { QueueId = "TEST", Arrival = DateTimeOffset.UnixEpoch, Sender = "from@example.org", Recipients = rows, Origin = MessageOrigin.Local, Size = bytes.Length },
            Content = new MemoryContent(bytes),
            Transport = "smtp",
            NextHop = nextHop,
            Recipients = [.. rows.Select((row, i) => new DeliveryRecipient(i, row, row.Address))],
            Activated = DateTimeOffset.UnixEpoch,
            Started = DateTimeOffset.UnixEpoch,
            Decided = decided,
        }, limit.Token);
    }

    private SmtpTransport NewTransport(TimeSpan? connectTimeout = null) => new(
        new SmtpClientOptions { ConnectTimeout = connectTimeout ?? TimeSpan.FromSeconds(30), HeloName = "client.example", RandomizeAddresses = false, OwnAddresses = new HashSet<IPAddress> { IPAddress.Parse("192.0.2.1") }, CacheTimeLimit = TimeSpan.FromMinutes(1) },
        new SocketNetwork(TimeProvider.System), _dns, TimeProvider.System, new SystemChance(), _log.For("smtp"));
}
