using System.Text;
using Microsoft.Extensions.Time.Testing;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Receive;

/// <summary>Restrictions that ask tables which may fail: a server that is down, a pattern that runs away.</summary>
public sealed class TableRestrictionTests
{
    [Fact]
    public async Task The_tables_answer_decides_and_a_table_that_is_down_defers()
    {
        FakeTimeProvider time = new();
        await using TableServer server = SocketmapServer.Start(static request => request switch
        {
            "access bad@example.com" => "OK REJECT not here",
            "access ill@example.com" => "TEMP the back end is ill",
            _ => "NOTFOUND ",
        });
        await using SmtpdRig rig = new(
            $"smtpd_recipient_restrictions = check_recipient_access socketmap:inet:127.0.0.1:{server.Port}:access, permit", time: time);
        MemoryConnection client = rig.Connect();
        await AskAsync(client, null, "220 ");
        await AskAsync(client, "HELO x", "250 ");
        await AskAsync(client, "MAIL FROM:<a@b.example>", "250 ");
        await AskAsync(client, "RCPT TO:<bad@example.com>", "554 5.7.1 <bad@example.com>: Recipient address rejected: not here");
        await AskAsync(client, "RCPT TO:<ill@example.com>", "451 4.3.5 <ill@example.com>: Recipient address rejected: Server configuration error");
        await AskAsync(client, "RCPT TO:<user@example.com>", "250 ");

        await server.StopAsync();
        await AskAsync(client, "RCPT TO:<user2@example.com>", "451 4.3.5 <user2@example.com>: Recipient address rejected: Server configuration error");
        server.Start();
        time.Advance(TimeSpan.FromSeconds(2));
        await AskAsync(client, "RCPT TO:<bad@example.com>", "554 5.7.1 ");

        // Whole keys only, as with other tables of patterns.
        Assert.DoesNotContain("access example.com", server.Requests);
    }

    [Theory]
    [InlineData("regexp", "/^(a*)*(a*)*\\1b@/")]
    [InlineData("pcre", "/^(a+)+b@/")]
    public async Task A_pattern_that_runs_away_defers_and_the_next_command_is_answered(string type, string pattern)
    {
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, $"/^c/ OK\n{pattern} REJECT\n", TestContext.Current.CancellationToken);
            await using SmtpdRig rig = new($"smtpd_recipient_restrictions = check_recipient_access {type}:{path}, permit");
            MemoryConnection client = rig.Connect();
            await AskAsync(client, null, "220 ");
            await AskAsync(client, "HELO x", "250 ");
            await AskAsync(client, "MAIL FROM:<a@b.example>", "250 ");
            string address = new string('a', 60) + "@example.com";
            await AskAsync(client, $"RCPT TO:<{address}>", $"451 4.3.5 <{address}>: Recipient address rejected: Server configuration error");
            await AskAsync(client, "RCPT TO:<user@example.com>", "250 ");
            Assert.Contains(rig.Log.All, line => line.Contains($"warning: {type} map {path}, line 2: ", StringComparison.Ordinal));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task AskAsync(MemoryConnection client, string? command, string reply)
    {
        if (command is not null)
        {
            await client.SendAsync(Encoding.Latin1.GetBytes(command + "\r\n"), CancellationToken.None);
        }

        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (await client.ReceiveAsync(one, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(60)) > 0 && one[0] != '\n')
        {
            line.Append((char)one[0]);
        }

        Assert.StartsWith(reply, line.ToString(), StringComparison.Ordinal);
    }
}
