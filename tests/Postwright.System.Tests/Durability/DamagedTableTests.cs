using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>A hash table that a running server uses, damaged or replaced under it: never a wrong answer, never a crash.</summary>
[Collection("real servers")]
public sealed class DamagedTableTests
{
    private const string Settings = """
        virtual_alias_domains = alias.test
        virtual_alias_maps = hash:$config_directory/virtual
        smtpd_soft_error_limit = 10000
        smtpd_hard_error_limit = 10000
        """;

    [Theory]
    [InlineData("cut to nothing")]
    [InlineData("cut in the middle")]
    [InlineData("random from the start")]
    [InlineData("random behind the first page")]
    public async Task A_damaged_table_is_a_temporary_failure_with_a_warning(string damage)
    {
        await using ServerInstance server = await StartAsync(1);
        await using SmtpTestClient client = await ConnectAsync(server);
        Assert.StartsWith("250 ", await SendAsync(client, 7), StringComparison.Ordinal);
        await server.MailAsync("generation1");
        string path = Path.Combine(server.ConfigDirectory, "virtual.db");
        byte[] whole = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        Overwrite(path, damage, whole);

        // A key may stand on a page that is still whole; none is taken for one that is not there.
        List<string> replies = [];
        for (int i = 0; i < 300; i++)
        {
            replies.Add(await SendAsync(client, i));
        }

        Assert.All(replies, static reply => Assert.True(reply.StartsWith("451 4.3.0 ", StringComparison.Ordinal) || reply.StartsWith("250 2.0.0 ", StringComparison.Ordinal), reply));
        Assert.Contains(replies, static reply => reply.StartsWith('4'));
        await server.LoggedAsync("warning: hash:");

        // Whole again, it is used again.
        await PostmapAsync(server, 2);
        await ServerInstance.UntilAsync(async () => (await SendAsync(client, 7)).StartsWith("250 ", StringComparison.Ordinal), () => server.Log);
        await server.MailAsync("generation2");
        Assert.DoesNotContain("status=bounced", server.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("panic:", server.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_replaced_under_load_counts_within_a_second_and_no_lookup_fails()
    {
        const int Last = 8;
        await using ServerInstance server = await StartAsync(1);
        using CancellationTokenSource stop = new();
        Task<List<string>>[] load = [.. Enumerable.Range(0, 3).Select(async _ =>
        {
            List<string> replies = [];
            await using SmtpTestClient client = await ConnectAsync(server);
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                replies.Add(await SendAsync(client, i % 300));
            }

            return replies;
        })];
        for (int generation = 2; generation <= Last; generation++)
        {
            await PostmapAsync(server, generation);
            await server.MailAsync($"generation{generation}");
        }

        // What comes a second after the table is there goes by it, however busy the machine is with what came before.
        await PostmapAsync(server, Last + 1);
        await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
        await using (SmtpTestClient late = await ConnectAsync(server))
        {
            Assert.StartsWith("250 ", await late.MailAsync("a@example.org", "user7@alias.test", "Subject: a second later\n\nbody"), StringComparison.Ordinal);
        }

        await ServerInstance.UntilAsync(
            async () => (await server.MailAsync($"generation{Last + 1}")).Any(static mail => mail.Contains("Subject: a second later", StringComparison.Ordinal)),
            () => server.Log);
        await stop.CancelAsync();
        foreach (Task<List<string>> one in load)
        {
            Assert.All(await one, static reply => Assert.StartsWith("250 2.0.0 ", reply, StringComparison.Ordinal));
        }

        Assert.DoesNotContain("warning: hash:", server.Log, StringComparison.Ordinal);
    }

    private static void Overwrite(string path, string damage, byte[] whole)
    {
        // In place, as a broken disk or a careless program does; not by a new file.
        using FileStream file = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        int page = damage == "random behind the first page" ? 4096 : 0;
        switch (damage)
        {
            case "cut to nothing":
                file.SetLength(0);
                break;
            case "cut in the middle":
                file.SetLength(whole.Length / 2 / 4096 * 4096);
                break;
            default:
                byte[] noise = new byte[whole.Length - page];
                new SeededChance(1).Fill(noise);
                file.Position = page;
                file.Write(noise);
                break;
        }
    }

    private static async Task<ServerInstance> StartAsync(int generation)
    {
        ServerInstance server = await ServerInstance.StartAsync(Settings, start: false);
        try
        {
            await PostmapAsync(server, generation);
            await server.StartAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    private static async Task PostmapAsync(ServerInstance server, int generation)
    {
        string source = Path.Combine(server.ConfigDirectory, "virtual");
        await File.WriteAllLinesAsync(source, Enumerable.Range(0, 300).Select(number => $"user{number}@alias.test generation{generation}@example.test"));
        CommandRun run = await server.RunAsync("postmap", ["hash:" + source]);
        Assert.True(run.ExitStatus == 0, run.Error);
    }

    private static async Task<SmtpTestClient> ConnectAsync(ServerInstance server)
    {
        SmtpTestClient client = await SmtpTestClient.ConnectAsync(server.Port);
        await client.AskAsync("EHLO client.example");
        return client;
    }

    private static Task<string> SendAsync(SmtpTestClient client, int number) =>
        client.MailAsync("a@example.org", $"user{number}@alias.test", "Subject: x\n\nbody");
}
