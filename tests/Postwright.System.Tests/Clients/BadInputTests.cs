using System.Globalization;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Clients;

/// <summary>
/// Input that no honest client sends, against a real process: the replies, that the process takes no more memory than its limits
/// allow, and that it takes a normal message afterwards.
/// </summary>
[Collection("real servers")]
public sealed class BadInputTests
{
    // Far more than buffers, caches and the garbage collector's slack take, far less than what is sent where it matters.
    private const long MostGrowthBytes = 100L << 20;

    private const string Settings = """
        smtpd_error_sleep_time = 0
        message_size_limit = 1000000
        mynetworks = 192.0.2.1
        virtual_mailbox_limit = 0
        """;

    [Fact]
    public Task A_line_of_megabytes_is_cut_and_refused_and_the_session_stays_in_step() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        string piece = new('a', 64 << 10);
        for (int i = 0; i < 512; i++)
        {
            await client.SendAsync(piece);
        }

        Assert.StartsWith("500 5.5.2 ", await client.AskAsync(""), StringComparison.Ordinal);
        Assert.Equal("250 2.0.0 Ok", await client.AskAsync("NOOP"));
    });

    [Fact]
    public Task Junk_commands_end_the_session() => WithServerAsync(async server =>
    {
        await FloodAsync(server, "JUNK junk junk\r\n", "500 5.5.2 ");
        await server.LoggedAsync("disconnect from unknown[127.0.0.1] ehlo=1 unknown=0/20 commands=1/21");
        await FloodAsync(server, "RSET\r\n", "250 ");
        await server.LoggedAsync("disconnect from unknown[127.0.0.1] ehlo=1 rset=120 commands=121");
    });

    [Fact]
    public Task Nuls_and_high_bytes_are_refused_as_commands() => WithServerAsync(async server =>
    {
        foreach (string bogus in (string[])["\u0001\u0002\u001b[2J", "{\u001b"])
        {
            await using SmtpTestClient rude = await StartAsync(server);
            Assert.Equal("221 2.7.0 Error: I can break rules, too. Goodbye.", await rude.AskAsync(bogus));
            Assert.Equal("", await rude.ReadAsync());
        }

        await using SmtpTestClient client = await StartAsync(server);
        Assert.Equal("500 5.5.2 Error: bad syntax", await client.AskAsync("\0\0\0\0"));
        Assert.StartsWith("5", await client.AskAsync("NO\0OP"), StringComparison.Ordinal);
        Assert.StartsWith("500 5.5.2 ", await client.AskAsync("MAIL FROM:<\u00ff\u00fe@example.org>"), StringComparison.Ordinal);
        Assert.Equal("250 2.1.0 Ok", await client.AskAsync("MAIL FROM:<a@example.org>"));
        Assert.StartsWith("5", await client.AskAsync("RCPT TO:<us\0er@example.test>"), StringComparison.Ordinal);
        Assert.Equal("250 2.1.5 Ok", await client.AskAsync("RCPT TO:<nul@example.test>"));
        Assert.StartsWith("354 ", await client.AskAsync("DATA"), StringComparison.Ordinal);
        Assert.StartsWith("250 2.0.0 Ok: queued as ", await client.AskAsync("Subject: nul\r\n\r\nbefore \0 after\r\n."), StringComparison.Ordinal);
        Assert.EndsWith("before \0 after\n", (await server.MailAsync("nul"))[0], StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', server.Log);
    });

    [Theory]
    [InlineData("\n.\n")]
    [InlineData("\n.\r\n")]
    [InlineData("\r\n.\n")]
    [InlineData("\r.\r")]
    [InlineData("\r.\r\n")]
    [InlineData("\r\n.\r")]
    [InlineData("\r\r\n.\r\r\n")]
    [InlineData("\r\n.\r\r\n")]
    [InlineData("\r\n\0.\r\n")]
    public Task Only_one_sequence_ends_a_message(string smuggled) => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        await client.AskAsync("MAIL FROM:<a@example.org>");
        await client.AskAsync("RCPT TO:<outer@example.test>");
        await client.AskAsync("DATA");
        await client.SendAsync($"Subject: outer\r\n\r\nbody{smuggled}MAIL FROM:<b@example.org>\r\nRCPT TO:<smuggled@example.test>\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n");

        // One message, one reply; then the next command's.
        Assert.StartsWith("250 2.0.0 Ok: queued as ", await client.ReadAsync(), StringComparison.Ordinal);
        Assert.Equal("250 2.0.0 Ok", await client.AskAsync("NOOP"));
        Assert.Contains("Subject: inner", Assert.Single(await server.MailAsync("outer")), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(server.MailDirectory, "smuggled")));
    });

    [Fact]
    public Task Bare_line_ends_are_made_regular_and_refused_where_so_configured() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        await client.AskAsync("MAIL FROM:<a@example.org>");
        await client.AskAsync("RCPT TO:<bare@example.test>");
        await client.AskAsync("DATA");
        Assert.StartsWith("521 5.5.2 mail.example.test Error: bare <LF> received", await client.AskAsync("Subject: x\n\none\ntwo\r\n."), StringComparison.Ordinal);
        Assert.Equal("250 2.0.0 Ok", await client.AskAsync("RSET"));
    }, "smtpd_forbid_bare_newline = reject\nsmtpd_forbid_bare_newline_reject_code = 521");

    [Fact]
    public Task A_message_is_as_large_as_what_arrives_whatever_was_declared() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        Assert.StartsWith("552 5.3.4 ", await client.AskAsync("MAIL FROM:<a@example.org> SIZE=1000001"), StringComparison.Ordinal);
        Assert.Equal("250 2.1.0 Ok", await client.AskAsync("MAIL FROM:<a@example.org> SIZE=1000"));
        await client.AskAsync("RCPT TO:<large@example.test>");
        await client.AskAsync("DATA");
        string piece = string.Concat(Enumerable.Repeat(new string('x', 62) + "\r\n", 1024));
        for (int i = 0; i < 2048; i++)
        {
            await client.SendAsync(piece);
        }

        Assert.Equal("552 5.3.4 Error: message file too big", await client.AskAsync("."));
        Assert.Equal("250 2.0.0 Ok", await client.AskAsync("NOOP"));
        Assert.False(Directory.Exists(Path.Combine(server.MailDirectory, "large")));
    });

    [Fact]
    public Task A_chunk_with_a_size_that_cannot_be_ends_the_session() => WithServerAsync(async server =>
    {
        foreach (string command in (string[])["BDAT", "BDAT -1", "BDAT 10x", "BDAT 0x10", "BDAT 99999999999999999999 LAST", "BDAT 10 FIRST"])
        {
            await using SmtpTestClient client = await StartAsync(server);
            await client.AskAsync("MAIL FROM:<a@example.org>");
            await client.AskAsync("RCPT TO:<chunk@example.test>");
            Assert.Equal("521 5.5.4 Syntax: BDAT count [LAST]", await client.AskAsync(command));
            Assert.Equal("", await client.ReadAsync());
        }
    });

    [Fact]
    public Task Chunks_may_be_of_single_bytes_and_dots_in_them_mean_nothing() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        await client.AskAsync("MAIL FROM:<a@example.org>");
        await client.AskAsync("RCPT TO:<chunk@example.test>");
        foreach (char one in "Subject: chunks\r\n\r\nbody\r\n.\r\n..\r\nlast\r\n")
        {
            await client.SendAsync($"BDAT 1\r\n{one}");
            Assert.Equal("250 2.0.0 Ok: 1 bytes", await client.ReadAsync());
        }

        Assert.StartsWith("250 2.0.0 Ok: ", await client.AskAsync("BDAT 0 LAST"), StringComparison.Ordinal);
        string mail = (await server.MailAsync("chunk"))[0];
        Assert.Contains("\nSubject: chunks\n", mail, StringComparison.Ordinal);
        Assert.EndsWith("\n\nbody\n.\n..\nlast\n", mail, StringComparison.Ordinal);
    });

    [Fact]
    public Task Recipients_beyond_the_limit_are_refused_for_now() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        await client.AskAsync("MAIL FROM:<a@example.org>");
        for (int i = 0; i < 1100; i += 100)
        {
            await client.SendAsync(string.Concat(Enumerable.Range(i, 100).Select(static number => string.Create(CultureInfo.InvariantCulture, $"RCPT TO:<user{number}@many.example>\r\n"))));
            for (int number = i; number < i + 100; number++)
            {
                Assert.Equal(number < 1000 ? "250 2.1.5 Ok" : "452 4.5.3 Error: too many recipients", await client.ReadAsync());
            }
        }

        await client.AskAsync("DATA");
        Assert.StartsWith("250 2.0.0 Ok: queued as ", await client.AskAsync("Subject: to many\r\n\r\nbody\r\n."), StringComparison.Ordinal);
        await server.LoggedAsync(" to=<user999@many.example>, ");
        Assert.DoesNotContain(" to=<user1000@many.example>", server.Log, StringComparison.Ordinal);
    }, "relay_domains = many.example\nrelay_transport = discard:");

    [Fact]
    public Task A_client_may_send_byte_by_byte() => WithServerAsync(async server =>
    {
        await using SmtpTestClient client = await StartAsync(server);
        foreach (char one in "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<slow@example.test>\r\nDATA\r\n")
        {
            await client.SendAsync(one.ToString());
        }

        Assert.Equal("250 2.0.0 Ok", await client.ReadAsync());
        Assert.Equal("250 2.1.0 Ok", await client.ReadAsync());
        Assert.Equal("250 2.1.5 Ok", await client.ReadAsync());
        Assert.StartsWith("354 ", await client.ReadAsync(), StringComparison.Ordinal);
        foreach (char one in "Subject: slow\r\n\r\n..\r\n.x\r\n.\r\n")
        {
            await client.SendAsync(one.ToString());
        }

        Assert.StartsWith("250 2.0.0 Ok: queued as ", await client.ReadAsync(), StringComparison.Ordinal);
        Assert.EndsWith("\n\n.\nx\n", (await server.MailAsync("slow"))[0], StringComparison.Ordinal);
    });

    private static async Task WithServerAsync(Func<ServerInstance, Task> test, string settings = "")
    {
        await using ServerInstance server = await ServerInstance.StartAsync(Settings + "\n" + settings);
        await SendNormalAsync(server, "before");
        long before = ResidentBytes(server.ProcessId);
        await test(server);
        Assert.InRange(ResidentBytes(server.ProcessId), 0, before + MostGrowthBytes);
        await SendNormalAsync(server, "after");
        Assert.DoesNotContain("panic:", server.Log, StringComparison.Ordinal);
    }

    private static async Task SendNormalAsync(ServerInstance server, string user)
    {
        await using SmtpTestClient client = await StartAsync(server);
        Assert.StartsWith("250 2.0.0 ", await client.MailAsync("a@example.org", user + "@example.test", "Subject: normal\n\nbody"), StringComparison.Ordinal);
        Assert.EndsWith("\n\nbody\n", (await server.MailAsync(user))[0], StringComparison.Ordinal);
    }

    private static async Task<SmtpTestClient> StartAsync(ServerInstance server)
    {
        SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        Assert.StartsWith("250-", await client.AskAsync("EHLO client.example"), StringComparison.Ordinal);
        return client;
    }

    // Sends 100,000 commands, or as many as the server lets. Of the replies some may be lost on the way, as it ends the session.
    private static async Task FloodAsync(ServerInstance server, string command, string reply)
    {
        await using SmtpTestClient client = await StartAsync(server);
        Task flood = SendManyAsync();
        try
        {
            while (await client.ReadAsync() is { Length: > 0 } line)
            {
                Assert.True(line.StartsWith(reply, StringComparison.Ordinal) || line == "421 4.7.0 mail.example.test Error: too many errors", line);
            }
        }
        catch (IOException)
        {
            // Reset, for what was still on its way.
        }

        await flood;

        async Task SendManyAsync()
        {
            try
            {
                string many = string.Concat(Enumerable.Repeat(command, 1000));
                for (int i = 0; i < 100; i++)
                {
                    await client.SendAsync(many);
                }
            }
            catch (IOException)
            {
                // The server ended the session, as it should.
            }
        }
    }

    private static long ResidentBytes(int process)
    {
        string line = File.ReadLines($"/proc/{process}/status").First(static line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
