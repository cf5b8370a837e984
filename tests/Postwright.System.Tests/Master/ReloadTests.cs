using System.Globalization;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>What a reload leaves of the former configuration: nothing, once nobody uses it.</summary>
[Collection("real servers")]
public sealed class ReloadTests
{
    private const string Settings = """
        smtpd_recipient_restrictions = check_recipient_access hash:$config_directory/access, permit_mynetworks, reject
        virtual_alias_maps = hash:$config_directory/aliases
        transport_maps = hash:$config_directory/routes
        """;

    [Fact]
    public async Task Reloads_with_sessions_in_between_leave_no_tables_open()
    {
        await using ServerInstance server = await StartAsync();
        await using (SmtpTestClient first = await SmtpTestClient.ConnectAsync(server.Port))
        {
            await SendAsync(first, "first");
        }

        await server.MailAsync("first");
        string[] before = OpenTables(server);
        Assert.Equal(3, before.Length);
        for (int i = 1; i <= 20; i++)
        {
            await using SmtpTestClient session = await SmtpTestClient.ConnectAsync(server.Port);
            await session.AskAsync("EHLO client.example");
            await ReloadAsync(server, i);
            await SendAsync(session, string.Create(CultureInfo.InvariantCulture, $"user{i}"));
            await session.AskAsync("QUIT");
            await server.MailAsync(string.Create(CultureInfo.InvariantCulture, $"user{i}"));
        }

        await ServerInstance.UntilAsync(
            () => Task.FromResult(OpenTables(server).Length <= before.Length),
            () => $"tables stay open: {string.Join(", ", OpenTables(server))}\n{server.Log}");
    }

    [Fact]
    public async Task A_session_keeps_its_tables_over_a_reload_and_closes_them_at_its_end()
    {
        await using ServerInstance server = await StartAsync();
        await using SmtpTestClient session = await SmtpTestClient.ConnectAsync(server.Port);
        await session.AskAsync("EHLO client.example");
        await session.AskAsync("MAIL FROM:<me@example.test>");
        await File.AppendAllTextAsync(
            Path.Combine(server.ConfigDirectory, "main.cf"), "\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n", TestContext.Current.CancellationToken);
        await ReloadAsync(server, 1);

        Assert.StartsWith("554 5.7.1 <refused@example.test>", await session.AskAsync("RCPT TO:<refused@example.test>"), StringComparison.Ordinal);
        Assert.Contains(OpenTables(server), path => path.EndsWith("/access.db", StringComparison.Ordinal));
        await using (SmtpTestClient other = await SmtpTestClient.ConnectAsync(server.Port))
        {
            await SendAsync(other, "refused");
        }

        await session.AskAsync("QUIT");
        await ServerInstance.UntilAsync(
            () => Task.FromResult(!OpenTables(server).Any(path => path.EndsWith("/access.db", StringComparison.Ordinal))),
            () => $"tables stay open: {string.Join(", ", OpenTables(server))}");
    }

    private static async Task<ServerInstance> StartAsync()
    {
        ServerInstance server = await ServerInstance.StartAsync(Settings, start: false);
        foreach ((string name, string text) in ((string, string)[])[("access", "refused@example.test REJECT\n"), ("aliases", "other@example.test first@example.test\n"), ("routes", "elsewhere.test discard:\n")])
        {
            string path = Path.Combine(server.ConfigDirectory, name);
            await File.WriteAllTextAsync(path, text);
            Assert.Equal(0, (await server.RunAsync("postmap", ["hash:" + path])).ExitStatus);
        }

        await server.StartAsync();
        return server;
    }

    private static async Task ReloadAsync(ServerInstance server, int times)
    {
        Assert.Equal(0, (await server.RunAsync("postfix", ["reload"])).ExitStatus);
        await ServerInstance.UntilAsync(
            () => Task.FromResult(server.Log.Split(": reload -- version").Length > times), () => $"no reload {times} in the log:\n{server.Log}");
    }

    private static async Task SendAsync(SmtpTestClient session, string user)
    {
        await session.AskAsync("EHLO client.example");
        await session.AskAsync("MAIL FROM:<me@example.test>");
        Assert.StartsWith("250", await session.AskAsync($"RCPT TO:<{user}@example.test>"), StringComparison.Ordinal);
        await session.AskAsync("DATA");
        Assert.StartsWith("250", await session.AskAsync("Subject: x\r\n\r\nx\r\n."), StringComparison.Ordinal);
    }

    /// <summary>Database files of the configuration that the process has open.</summary>
    private static string[] OpenTables(ServerInstance server) =>
        [.. OpenFiles.Of(server.ProcessId)
            .Where(path => path.StartsWith(server.ConfigDirectory, StringComparison.Ordinal) && path.EndsWith(".db", StringComparison.Ordinal))];
}
