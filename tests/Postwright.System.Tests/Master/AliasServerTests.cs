using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>
/// alias_maps on a server of each kind, where the system runs as root: master, mail and agent are processes, and the agent has
/// mail ask the server. Up, down, and back: nothing bounces, and nothing is lost.
/// </summary>
[Collection("real servers")]
public sealed class AliasServerTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _servers = [];
    private ThreeProcesses? _three;

    private ThreeProcesses Three => _three!;

    public async ValueTask DisposeAsync()
    {
        await (_three?.DisposeAsync() ?? ValueTask.CompletedTask);
        foreach (IAsyncDisposable server in _servers)
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task Mysql()
    {
        Assert.SkipUnless(MariadbServer.IsInstalled, "MariaDB is not installed");
        MariadbServer server = await MariadbServer.MakeAsync();
        _servers.Add(server);
        await server.Server.StartAsync();
        await server.RunAsync("""
            CREATE DATABASE mail; CREATE TABLE mail.aliases (name VARCHAR(100), members VARCHAR(100));
            INSERT INTO mail.aliases VALUES ('team', 'you@example.test'), ('danger', '|touch /tmp/x');
            CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON mail.* TO mail@'%';
            """);
        await RunAsync(
            "mysql",
            $"hosts = 127.0.0.1:{server.Port}\nuser = mail\npassword = secret\ndbname = mail\nquery = SELECT members FROM aliases WHERE name = '%s'\noption_group =\nretry_interval = 1\n",
            () => server.Server.StopAsync(),
            server.Server.StartAsync);
    }

    [Fact]
    public async Task Ldap()
    {
        Assert.SkipUnless(SlapdServer.IsInstalled, "OpenLDAP is not installed");
        SlapdServer server = await SlapdServer.MakeAsync("""
            dn: dc=example,dc=com
            objectClass: dcObject
            objectClass: organization
            o: Example
            dc: example

            dn: uid=team,dc=example,dc=com
            objectClass: inetOrgPerson
            cn: Team
            sn: Team
            uid: team
            mail: you@example.test

            dn: uid=danger,dc=example,dc=com
            objectClass: inetOrgPerson
            cn: Danger
            sn: Danger
            uid: danger
            mail: |touch /tmp/x

            """);
        _servers.Add(server);
        await server.Server.StartAsync();
        await RunAsync(
            "ldap",
            $"server_host = ldap://127.0.0.1:{server.Port}\nversion = 3\nbind = no\nsearch_base = dc=example,dc=com\nquery_filter = (uid=%s)\nresult_attribute = mail\n",
            () => server.Server.StopAsync(),
            server.Server.StartAsync);
    }

    [Fact]
    public async Task Redis()
    {
        Assert.SkipUnless(RedisInstance.IsInstalled, "Redis is not installed");
        RedisInstance server = await RedisInstance.MakeAsync();
        _servers.Add(server);
        await StartAsync();
        await RunAsync("redis", $"hosts = inet:127.0.0.1:{server.Port}\npassword = secret\nkey_format = alias:%s\n", () => server.Server.StopAsync(), StartAsync);

        async Task StartAsync()
        {
            await server.Server.StartAsync();
            Assert.Equal("+OK", await server.TellAsync("SET alias:danger '|touch /tmp/x'\r\nSET alias:team you@example.test", 2));
        }
    }

    [Fact]
    public async Task Http()
    {
        TableServer server = HttpServer.Start(static request => request.Split(' ')[1] switch
        {
            "/alias/team" => ("200 OK", "you@example.test\n"),
            "/alias/danger" => ("200 OK", "|touch /tmp/x"),
            _ => ("404 Not Found", ""),
        });
        _servers.Add(server);
        await RunAsync("http", $"url = http://127.0.0.1:{server.Port}/alias/%s\n", server.StopAsync, () =>
        {
            server.Start();
            return Task.CompletedTask;
        });
    }

    private async Task RunAsync(string type, string settings, Func<Task> stop, Func<Task> start)
    {
        _three = new ThreeProcesses($$"""
            mydestination = local.test
            local_recipient_maps =
            alias_maps = {{type}}:ROOT/etc/aliases.cf{timeout=2s}
            smtpd_reject_unlisted_recipient = no
            """);
        await File.WriteAllTextAsync(Path.Combine(Three.ConfigDirectory, "aliases.cf"), settings, TestContext.Current.CancellationToken);
        await Three.StartAsync();

        await Three.SendAsync("up", "team@local.test");
        await Three.MailsAsync(1);
        await Three.SendAsync("danger", "danger@local.test");
        await Three.LoggedAsync("commands, files and includes are not allowed here");
        await Three.LoggedAsync("to=<danger@local.test>", 1);

        await stop();
        await Three.SendAsync("down", "team@local.test");
        await Three.LoggedAsync("status=deferred (alias database unavailable)", 2);
        Assert.DoesNotContain("status=bounced", Three.Log, StringComparison.Ordinal);

        await start();
        await Three.FlushUntilAsync(2);
        await Three.SendAsync("nobody", "no-such-user-here@local.test");
        await Three.LoggedAsync("status=bounced (unknown user: \"no-such-user-here\")");
    }
}
