using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Deliver;
using Postwright.Testing.Logging;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Deliver.Local;

/// <summary>Tables on servers give deliveries addresses, and never a command, a file or an identity.</summary>
public sealed class RemoteAliasTests : IDisposable
{
    private readonly DeliveryRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task An_alias_from_a_server_gives_addresses_only()
    {
        string touched = Path.Combine(_rig.Make("out", 0b111_111_111), "touched");
        await using TableServer server = PgsqlPeer.Start(query => query switch
        {
            "team" => "alice, bob@example.net",
            "command" => $"\"|touch {touched}\"",
            "file" => $"alice, {touched}",
            "include" => $":include:{touched}",
            _ => null,
        });
        RecipientResult team = await DeliverAsync(server, "team");
        Assert.Equal(["alice@example.com", "bob@example.net"], team.Into.Select(static one => one.Address));
        foreach (string name in (string[])["command", "file", "include"])
        {
            RecipientResult result = await DeliverAsync(server, name);
            Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), (result.Status, result.Dsn));
        }

        Assert.False(File.Exists(touched));
        Assert.Equal(3, _rig.Lines.All.Count(static line => line.EndsWith("commands, files and includes are not allowed here", StringComparison.Ordinal)));
        await server.StopAsync();
        Assert.Equal(DeliveryStatus.Deferred, (await DeliverAsync(server, "team")).Status);
    }

    [Fact]
    public async Task Identities_do_not_come_from_a_server()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => "1600");
        string table = Configure(server);
        RecipientResult result = await _rig.Deliver("info@example.com", transport: "virtual", mainCf: $$"""
            virtual_mailbox_base = {{_rig.Make("vhosts", 0b111_111_111)}}
            virtual_mailbox_maps = inline:{ info@example.com=info }
            virtual_uid_maps = {{table}}
            virtual_gid_maps = static:1600
            """);
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5"), (result.Status, result.Dsn));
        Assert.Empty(server.Requests);
        Assert.Contains(_rig.Lines.All, static line => line.Contains("tables on servers do not say whose rights a delivery has", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_privileged_agent_talks_to_no_server_itself()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => "x");
        LogLines log = new();
        List<string> asked = [];
        using TableRegistry tables = new(log.For("local"), TimeProvider.System, remote: new RemoteTables(MailConfiguration.FromText(""), (table, key) =>
        {
            asked.Add($"{table} {key}");
            return LookupResult.Found("y");
        }));
        string name = Configure(server);
        LookupResult result = await tables.Open("proxy:" + name).LookupAsync("k", CancellationToken.None);
        Assert.Equal("y", result.Value);
        Assert.Equal([$"{name} k"], asked);
        Assert.Equal(0, server.Connections);

        // What no server can have is not asked.
        Assert.Equal(LookupStatus.NotFound, (await tables.Open(name).LookupAsync("k\0", CancellationToken.None)).Status);
        Assert.Single(asked);

        // A database in a file is a file.
        string database = Path.Combine(_rig.Root, "x.cf");
        await File.WriteAllTextAsync(database, "dbpath = /nonexistent\nquery = SELECT 1\n", TestContext.Current.CancellationToken);
        result = await tables.Open("sqlite:" + database).LookupAsync("k", CancellationToken.None);
        Assert.Single(asked);
        Assert.Contains("/nonexistent: No such file or directory", result.Error, StringComparison.Ordinal);
    }

    private Task<RecipientResult> DeliverAsync(TableServer server, string name) => _rig.Deliver($"{name}@example.com", mainCf: $"alias_maps = {Configure(server)}\n");

    private string Configure(TableServer server)
    {
        string path = Path.Combine(_rig.Root, "pgsql.cf");
        File.WriteAllText(path, $"hosts = 127.0.0.1:{server.Port}\nuser = u\ndbname = d\nquery = %s\n");
        return "pgsql:" + path;
    }
}
