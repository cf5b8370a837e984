using System.Globalization;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote.Sql;

/// <summary>A PostgreSQL server with the tests' content and a user for each way to log in.</summary>
public sealed class PgsqlServer : IAsyncLifetime
{
    private PostgresServer? _server;

    public RealServer Server => Running.Server;

    public string Folder => Running.Folder;

    public int Port => Running.Port;

    private PostgresServer Running => _server ?? throw new InvalidOperationException("PostgreSQL is not installed");

    public async ValueTask InitializeAsync()
    {
        if (PostgresServer.Programs is null)
        {
            return;
        }

        _server = await PostgresServer.MakeAsync(
            """
            host all md5user 127.0.0.1/32 md5
            host all plainuser 127.0.0.1/32 password
            hostssl all tlsuser 127.0.0.1/32 scram-sha-256
            host all tlsuser 127.0.0.1/32 reject
            host all all 127.0.0.1/32 scram-sha-256
            """,
            "ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=server.key");
        TestCertificate.Write(Folder);
        string key = await File.ReadAllTextAsync(Path.Combine(Folder, "server.key"));
        await RealServer.RunAsAsync("postgres", "/bin/sh", ["-c", $"umask 077; cat >{_server.DataDirectory}/server.key"], key);
        await Server.StartAsync();
        await _server.RunAsync("""
            CREATE USER mail PASSWORD 'secret'; CREATE USER tlsuser PASSWORD 'secret'; CREATE USER plainuser PASSWORD 'secret';
            CREATE USER oldstyle PASSWORD 'secret'; ALTER USER oldstyle SET standard_conforming_strings = off;
            SET password_encryption = md5; CREATE USER md5user PASSWORD 'secret';
            """ + SqlTableTests.Tables + "GRANT ALL ON aliases TO public;");
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>pgsql: against a PostgreSQL server: each way to log in, up, slow, down, and back.</summary>
public sealed class PgsqlTableTests(PgsqlServer pgsql) : SqlTableTests, IClassFixture<PgsqlServer>
{
    private const string ByAddress = "query = SELECT goto FROM aliases WHERE address = '%s'\n";

    protected override string Type => "pgsql";

    protected override string Server
    {
        get
        {
            Assert.SkipWhen(PostgresServer.Programs is null, "PostgreSQL is not installed");
            return As("mail");
        }
    }

    private string As(string user, string password = "secret") => $"hosts = 127.0.0.1:{pgsql.Port}\nuser = {user}\npassword = {password}\ndbname = postgres\n";

    [Theory]
    [InlineData("mail")]
    [InlineData("md5user")]
    [InlineData("plainuser")]
    [InlineData("tlsuser")]
    [InlineData("oldstyle")]
    public async Task Every_way_to_log_in_works_and_needs_the_password(string user)
    {
        _ = Server;
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("pgsql", As(user) + ByAddress), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("pgsql", As(user, "wrong") + ByAddress), "joe"));
        Assert.Contains(Rig.Log.All, line => line.Contains($"password authentication failed for user \"{user}\"", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_backslash_is_quoted_where_the_server_takes_it_for_one()
    {
        _ = Server;
        string table = Rig.Configure("pgsql", As("oldstyle") + "query = SELECT '%s'\n");
        Assert.Equal(@"x\' or 1=1 -- ", await Rig.AskAsync(table, @"x\' or 1=1 -- "));
        Assert.Equal(@"x\", await Rig.AskAsync(table, @"x\"));
    }

    [Theory]
    [InlineData("GBK")]
    [InlineData("big5")]
    [InlineData("SJIS")]
    [InlineData("shift-jis")]
    [InlineData("UHC")]
    [InlineData("GB18030")]
    [InlineData("JOHAB")]
    [InlineData("nonesuch")]
    public async Task An_encoding_in_which_a_quote_can_be_part_of_a_character_is_refused(string encoding)
    {
        string table = Rig.Configure("pgsql", Server + $"encoding = {encoding}\nquery = SELECT 'x'='%s'\n");
        Assert.Equal("!", await Rig.AskAsync(table, "\u4e2d' OR true -- "));
        Assert.Contains(Rig.Log.All, line => line.Contains($".cf, line 5: encoding = {encoding} is refused", StringComparison.Ordinal) && line.Contains("UTF8", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("utf-8")]
    [InlineData("UNICODE")]
    [InlineData("LATIN1")]
    [InlineData("SQL_ASCII")]
    public async Task No_key_becomes_syntax_in_the_encodings_that_are_taken(string encoding)
    {
        string table = Rig.Configure("pgsql", Server + $"encoding = {encoding}\nquery = SELECT 'INJECTED' WHERE 'x'='%s'\n");
        foreach (string key in (string[])["' OR 1=1 -- ", "\u00e9' OR 1=1 -- ", "\u00e9\\' OR 1=1 -- "])
        {
            Assert.Equal("-", await Rig.AskAsync(table, key));
        }
    }

    [Fact]
    public async Task Unix_domain_sockets_and_uris_work()
    {
        _ = Server;
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("pgsql", $"hosts = unix:{pgsql.Folder}/.s.PGSQL.{pgsql.Port}\nuser = postgres\ndbname = postgres\n" + ByAddress), "joe"));
        string uri = $"postgresql://tlsuser:secret@127.0.0.1:{pgsql.Port}/postgres";
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("pgsql", $"hosts = {uri}?sslmode=verify-full&sslrootcert={pgsql.Folder}/ca.pem\n" + ByAddress), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("pgsql", $"hosts = {uri}?sslmode=verify-full\n" + ByAddress), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("pgsql", $"hosts = {uri}?sslmode=disable\n" + ByAddress), "joe"));
        Assert.DoesNotContain(Rig.Log.All, static line => line.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_dead_host_is_passed_over()
    {
        _ = Server;
        string hosts = $"hosts = {string.Join(' ', Enumerable.Range(0, 5).Select(static _ => $"127.0.0.1:{FreePort.Next()}"))} 127.0.0.1:{pgsql.Port}\n";
        string table = Rig.Configure("pgsql", As("mail") + hosts + ByAddress);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("-", await Rig.AskAsync(table, i.ToString(CultureInfo.InvariantCulture)));
        }
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long()
    {
        _ = Server;
        string table = Rig.Configure("pgsql", As("mail") + ByAddress + "retry_interval = 1\n");
        await ServerStates.RunAsync(Rig, pgsql.Server, table, "joe", "local", signal: "INT");
    }
}
