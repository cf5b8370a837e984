using System.Text;
using Microsoft.Extensions.Time.Testing;
using Postwright.Server.Queue;
using Postwright.Testing;
using Postwright.Testing.Dns;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Receive;

/// <summary>What dialogues in files cannot say: time, names, limits between sessions, a store that fails, input cut anywhere.</summary>
public sealed class SmtpdSessionTests
{
    private const string Message = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<user@example.com>\r\nDATA\r\nSubject: x\r\n\r\n..a\r\n.\r\nQUIT\r\n";

    [Fact]
    public async Task A_silent_client_gets_421_and_a_log_line()
    {
        FakeTimeProvider time = new();
        await using SmtpdRig rig = new("smtpd_timeout = 30s", time: time);
        MemoryConnection client = rig.Connect();
        Assert.Equal("220 mx.example.com ESMTP Postfix", await ReadLineAsync(client));
        await Until.True(() => client.PeerWaits);
        time.Advance(TimeSpan.FromSeconds(32));
        await rig.SessionsEndAsync();
        Assert.Equal("421 4.4.2 mx.example.com Error: timeout exceeded", await ReadLineAsync(client));
        Assert.Contains("postfix/smtpd: NOQUEUE: timeout after CONNECT from unknown[127.0.0.1]", rig.Log.All);
        Assert.Contains("postfix/smtpd: disconnect from unknown[127.0.0.1] commands=0/0", rig.Log.All);
    }

    [Fact]
    public async Task A_client_that_stops_in_the_middle_of_a_message_leaves_nothing()
    {
        FakeTimeProvider time = new();
        await using SmtpdRig rig = new("smtpd_timeout = 30s", time: time);
        MemoryConnection client = rig.Connect();
        await SendAsync(client, "HELO x\r\n");
        await ExpectAsync(client, "220 ", "250 ");
        await AskAsync(client, "MAIL FROM:<a@b.example>", "250 ");
        await AskAsync(client, "RCPT TO:<user@example.com>", "250 ");
        await AskAsync(client, "DATA", "354 ");
        await SendAsync(client, "half a mess");
        await Until.True(() => client.PeerWaits);
        time.Advance(TimeSpan.FromSeconds(32));
        await rig.SessionsEndAsync();
        Assert.Equal(0, rig.Store.Count);
        Assert.Contains(rig.Log.All, line => line.EndsWith("timeout after DATA (11 bytes) from unknown[127.0.0.1]", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_client_that_sends_a_byte_now_and_then_is_waited_for()
    {
        FakeTimeProvider time = new();
        await using SmtpdRig rig = new("smtpd_timeout = 30s", time: time);
        MemoryConnection client = rig.Connect();
        await ExpectAsync(client, "220 ");
        foreach (char c in "NOOP\r\n")
        {
            await Until.True(() => client.PeerWaits);
            time.Advance(TimeSpan.FromSeconds(20));
            await SendAsync(client, c.ToString());
        }

        await ExpectAsync(client, "250 2.0.0 Ok");
    }

    [Fact]
    public async Task Shutdown_is_said_to_a_waiting_client()
    {
        await using SmtpdRig rig = new();
        MemoryConnection client = rig.Connect();
        await ExpectAsync(client, "220 ");
        Task stopped = rig.Server.StopAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("421 4.3.2 mx.example.com Service shutting down", await ReadLineAsync(client));
        await stopped;
        await rig.SessionsEndAsync();
    }

    [Fact]
    public async Task A_message_arrives_the_same_however_it_is_cut()
    {
        for (int cut = 1; cut < Message.Length; cut++)
        {
            await using SmtpdRig rig = new("smtpd_forbid_unauth_pipelining = no");
            MemoryConnection client = rig.Connect();
            await SendAsync(client, Message[..cut]);
            await Until.True(() => client.PeerWaits);
            await SendAsync(client, Message[cut..]);
            await rig.SessionsEndAsync();
            string content = Assert.Single(await rig.MessagesAsync()).Content;
            Assert.EndsWith("Subject: x\r\n\r\n.a\r\n", content, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(StoreStatus.NoSpace, "452 4.3.1 ")]
    [InlineData(StoreStatus.Failed, "451 4.3.0 ")]
    public async Task What_the_disk_refuses_is_not_acknowledged(StoreStatus answer, string reply)
    {
        await using SmtpdRig rig = new();
        rig.Store.AppendAnswer = answer;
        MemoryConnection client = rig.Connect();
        await ExpectAsync(client, "220 ");
        await AskAsync(client, "HELO x", "250 ");
        await AskAsync(client, "MAIL FROM:<a@b.example>", "250 ");
        await AskAsync(client, "RCPT TO:<user@example.com>", "250 ");
        await AskAsync(client, "DATA", "354 ");
        await AskAsync(client, ".", reply);
        Assert.Empty(rig.Queue.ArrivedIds);
    }

    [Fact]
    public async Task A_name_counts_only_if_it_leads_back()
    {
        FakeDns dns = new FakeDns().Name("192.0.2.1", "good.example").Host("good.example", "192.0.2.1")
            .Name("192.0.2.2", "forged.example").Host("forged.example", "198.51.100.1")
            .Name("192.0.2.3", "gone.example");
        await using SmtpdRig rig = new("smtpd_peername_lookup = yes", dns);
        foreach (string address in new[] { "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4" })
        {
            MemoryConnection client = rig.Connect(address);
            await ExpectAsync(client, "220 ");
        }

        Assert.Contains("postfix/smtpd: connect from good.example[192.0.2.1]", rig.Log.All);
        Assert.Contains("postfix/smtpd: warning: hostname forged.example does not resolve to address 192.0.2.2", rig.Log.All);
        Assert.Contains("postfix/smtpd: connect from unknown[192.0.2.2]", rig.Log.All);
        Assert.Contains(rig.Log.All, line => line.StartsWith("postfix/smtpd: warning: hostname gone.example does not resolve to address 192.0.2.3: ", StringComparison.Ordinal));
        Assert.Contains("postfix/smtpd: connect from unknown[192.0.2.4]", rig.Log.All);
    }

    [Fact]
    public async Task A_verified_client_in_relay_domains_may_relay_where_that_is_said()
    {
        FakeDns dns = new FakeDns().Name("198.51.100.1", "host.relay.example").Host("host.relay.example", "198.51.100.1")
            .Name("198.51.100.2", "forged.relay.example");
        await using SmtpdRig rig = new("smtpd_peername_lookup = yes\nrelay_domains_match_client = yes", dns);
        Assert.StartsWith("250 ", await RcptAsync(rig, "198.51.100.1"), StringComparison.Ordinal);
        Assert.StartsWith("454 4.7.1 ", await RcptAsync(rig, "198.51.100.2"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sender_domains_are_looked_up()
    {
        FakeDns dns = new FakeDns().Mx("mx.example", 10, "a.example").Host("host.example", "192.0.2.1").Mx("null.example", 0, ".").Failing("slow.example");
        await using SmtpdRig rig = new("smtpd_sender_restrictions = reject_unknown_sender_domain", dns);
        Assert.StartsWith("250 ", await RcptAsync(rig, sender: "a@mx.example", recipient: "user@example.com"), StringComparison.Ordinal);
        Assert.StartsWith("250 ", await RcptAsync(rig, sender: "a@host.example", recipient: "user@example.com"), StringComparison.Ordinal);
        Assert.Equal(
            "450 4.1.8 <a@none.example>: Sender address rejected: Domain not found",
            await RcptAsync(rig, sender: "a@none.example", recipient: "user@example.com"));
        Assert.Equal(
            "450 4.1.8 <a@slow.example>: Sender address rejected: Domain not found",
            await RcptAsync(rig, sender: "a@slow.example", recipient: "user@example.com"));
        Assert.Equal(
            "550 5.7.27 <a@null.example>: Sender address rejected: Domain null.example does not accept mail (nullMX)",
            await RcptAsync(rig, sender: "a@null.example", recipient: "user@example.com"));
    }

    [Fact]
    public async Task A_client_has_so_many_connections_and_no_more()
    {
        await using SmtpdRig rig = new("smtpd_client_connection_count_limit = 2");
        MemoryConnection first = rig.Connect("198.51.100.1");
        MemoryConnection second = rig.Connect("198.51.100.1");
        await ExpectAsync(first, "220 ");
        await ExpectAsync(second, "220 ");
        await ExpectAsync(rig.Connect("198.51.100.1"), "421 4.7.0 mx.example.com Error: too many connections from 198.51.100.1");
        await ExpectAsync(rig.Connect("198.51.100.2"), "220 ");
        await ExpectAsync(rig.Connect("192.0.2.7"), "220 ");
        await AskAsync(first, "QUIT", "221 ");
        await Until.True(() => rig.Log.All.Any(line => line.Contains("disconnect from unknown[198.51.100.1] quit=1", StringComparison.Ordinal)));
        await ExpectAsync(rig.Connect("198.51.100.1"), "220 ");
        Assert.Contains(
            "postfix/smtpd: warning: Connection concurrency limit exceeded: 3 from unknown[198.51.100.1] for service smtp", rig.Log.All);
    }

    [Fact]
    public async Task An_error_makes_replies_wait_from_the_soft_limit_on()
    {
        FakeTimeProvider time = new();
        await using SmtpdRig rig = new("smtpd_soft_error_limit = 1\nsmtpd_error_sleep_time = 5s\nsmtpd_timeout = 30d", time: time);
        MemoryConnection client = rig.Connect();
        await ExpectAsync(client, "220 ");
        await SendAsync(client, "FOO\r\n");
        Task<string> waiting = ReadLineAsync(client).AsTask();
        DateTimeOffset start = time.GetUtcNow();
        await Until.True(time, TimeSpan.FromMilliseconds(500), () => waiting.IsCompleted);
        Assert.Equal("500 5.5.2 Error: command not recognized", await waiting);
        Assert.True(time.GetUtcNow() - start >= TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Any_bytes_end_in_a_session_that_ends()
    {
        string[] pieces =
        [
            "EHLO x\r\n", "HELO\r\n", "MAIL FROM:<a@b.example>\r\n", "MAIL FROM:<> SIZE=5 BODY=8BITMIME\r\n", "RCPT TO:<user@example.com>\r\n",
            "RCPT TO:<\"", "DATA\r\n", "BDAT 5\r\n", "BDAT 3 LAST\r\nabc", "RSET\r\n", "VRFY x\r\n", "ETRN x\r\n", "XCLIENT NAME=x ADDR=1.2.3.4\r\n", "NOOP\n",
            ".\r\n", "\r\n", "\n.\n", "\0", "\r", ">From x\r\n", " x\r\n", "Received: x\r\n", "QUIT\r\n", new string('x', 3000),
        ];
        for (int seed = 1; seed <= 300; seed++)
        {
            Random random = new(seed);
            await using SmtpdRig rig = new("smtpd_forbid_unauth_pipelining = no\nsmtpd_authorized_xclient_hosts = 127.0.0.1\nsmtpd_forbidden_commands =");
            MemoryConnection client = rig.Connect();
            Task drained = DrainAsync(client);
            for (int i = random.Next(1, 30); i > 0; i--)
            {
                string piece = random.Next(8) == 0 ? ((char)random.Next(256)).ToString() : pieces[random.Next(pieces.Length)];
                try
                {
                    await SendAsync(client, piece);
                }
                catch (IOException)
                {
                    break;
                }
            }

            await client.EndSendingAsync();
            await rig.SessionsEndAsync();
            await drained;
            Assert.DoesNotContain(rig.Log.All, line => line.Contains("panic", StringComparison.Ordinal));
            Assert.Contains(rig.Log.All, line => line.Contains("disconnect from", StringComparison.Ordinal));
            Assert.Equal(rig.Store.Count, rig.Queue.ArrivedIds.Count);
        }
    }

    private static async Task DrainAsync(MemoryConnection client)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(90));
        byte[] buffer = new byte[4096];
        while (await client.ReceiveAsync(buffer, limit.Token) > 0)
        {
        }
    }

    private static async Task<string> RcptAsync(SmtpdRig rig, string address = "127.0.0.1", string sender = "a@b.example", string recipient = "a@elsewhere.example")
    {
        MemoryConnection client = rig.Connect(address);
        await ExpectAsync(client, "220 ");
        await AskAsync(client, "HELO x", "250 ");
        await AskAsync(client, $"MAIL FROM:<{sender}>", "250 ");
        await SendAsync(client, $"RCPT TO:<{recipient}>\r\n");
        return await ReadLineAsync(client);
    }

    private static Task SendAsync(MemoryConnection client, string text) => client.SendAsync(Encoding.Latin1.GetBytes(text), CancellationToken.None).AsTask();

    private static async Task AskAsync(MemoryConnection client, string line, string reply)
    {
        await SendAsync(client, line + "\r\n");
        await ExpectAsync(client, reply);
    }

    private static async Task ExpectAsync(MemoryConnection client, params string[] replies)
    {
        foreach (string reply in replies)
        {
            Assert.StartsWith(reply, await ReadLineAsync(client), StringComparison.Ordinal);
        }
    }

    private static async ValueTask<string> ReadLineAsync(MemoryConnection client)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(90));
        StringBuilder line = new();
        byte[] one = new byte[1];
        while (await client.ReceiveAsync(one, limit.Token) == 1)
        {
            if (one[0] == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append((char)one[0]);
        }

        return line.ToString();
    }
}
