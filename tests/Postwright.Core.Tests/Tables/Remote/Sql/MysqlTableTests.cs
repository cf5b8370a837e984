using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote.Sql;

/// <summary>A MariaDB server with the tests' content.</summary>
public sealed class MysqlServer : IAsyncLifetime
{
    private MariadbServer? _server;

    public static bool IsInstalled => MariadbServer.IsInstalled;

    public RealServer Server => Own.Server;

    public string Folder => Own.Folder;

    public string Socket => Own.Socket;

    public int Port => Own.Port;

    private MariadbServer Own => _server ?? throw new InvalidOperationException("MariaDB is not installed");

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled)
        {
            return;
        }

        _server = await MariadbServer.MakeAsync();
        await _server.Server.StartAsync();
        await RunAsync("CREATE DATABASE mail CHARACTER SET utf8mb4; USE mail;" + SqlTableTests.Tables + """
            CREATE USER mail@'%' IDENTIFIED BY 'secret'; GRANT ALL ON mail.* TO mail@'%';
            CREATE USER empty@'%'; GRANT ALL ON mail.* TO empty@'%';
            CREATE USER tlsuser@'%' IDENTIFIED BY 'secret' REQUIRE SSL; GRANT ALL ON mail.* TO tlsuser@'%';
            DELIMITER //
            CREATE PROCEDURE mail.find(IN k VARCHAR(200)) BEGIN SELECT goto FROM mail.aliases WHERE address = k; END//
            CREATE PROCEDURE mail.twice(IN k VARCHAR(200)) BEGIN SELECT 1; SELECT 2; END//
            CREATE PROCEDURE mail.nothing(IN k VARCHAR(200)) BEGIN SET @x = k; END//

            """);
    }

    public Task RunAsync(string sql) => Own.RunAsync(sql);

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>mysql: against a MariaDB server: up, slow, down, and back.</summary>
public sealed class MysqlTableTests(MysqlServer mysql) : SqlTableTests, IClassFixture<MysqlServer>
{
    private const string ByAddress = "query = SELECT goto FROM aliases WHERE address = '%s'\n";

    protected override string Type => "mysql";

    protected override string Server
    {
        get
        {
            Assert.SkipUnless(MysqlServer.IsInstalled, "MariaDB is not installed");
            return As("mail");
        }
    }

    private string As(string user, string password = "secret") => $"hosts = 127.0.0.1:{mysql.Port}\nuser = {user}\npassword = {password}\ndbname = mail\noption_group =\n";

    [Fact]
    public async Task Logging_in_needs_the_password()
    {
        _ = Server;
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("mysql", As("empty", "") + ByAddress), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", As("mail", "wrong") + ByAddress), "joe"));
        Assert.Contains(Rig.Log.All, static line => line.Contains("Access denied for user 'mail'", StringComparison.Ordinal));
        Assert.DoesNotContain(Rig.Log.All, static line => line.Contains("wrong", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Tls_unix_domain_sockets_and_option_files_work()
    {
        _ = Server;
        string tls = As("tlsuser") + ByAddress;
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", tls), "joe"));
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("mysql", tls + $"tls_CAfile = {mysql.Folder}/ca.pem\ntls_verify_cert = yes\n"), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", tls + "tls_verify_cert = yes\n"), "joe"));
        string options = Path.Combine(Rig.Folder, "my.cnf");
        await File.WriteAllTextAsync(options, $"[client]\nuser = mail\npassword = \"secret\"\nsocket = {mysql.Socket}\n", TestContext.Current.CancellationToken);
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure("mysql", $"hosts = localhost\ndbname = mail\noption_file = {options}\n" + ByAddress), "joe"));
    }

    [Fact]
    public async Task Procedures_give_one_set_of_rows()
    {
        string find = Rig.Configure("mysql", Server + "query = CALL find('%s')\n", "{connections=1}");
        Assert.Equal(["local", "-", "local"], [await Rig.AskAsync(find, "joe"), await Rig.AskAsync(find, "none"), await Rig.AskAsync(find, "joe")]);
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", Server + "query = CALL twice('%s')\n"), "joe"));
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", Server + "query = CALL nothing('%s')\n"), "joe"));
        Assert.Equal("-", await Rig.AskAsync(Rig.Configure("mysql", Server + "query = CALL nothing('%s')\nrequire_result_set = no\n"), "joe"));
    }

    [Fact]
    public async Task Text_beyond_ascii_keeps_its_bytes_in_every_character_set()
    {
        _ = Server;
        foreach (string charset in (string[])["utf8mb4", "utf8mb4_general_ci", "binary"])
        {
            string table = Rig.Configure("mysql", Server + $"charset = {charset.Split('_')[0]}\nquery = SELECT '%s'\n");
            Assert.Equal("\u00e9\ud83d\ude00@x", await Rig.AskAsync(table, "\u00e9\ud83d\ude00@x"));
        }
    }

    [Theory]
    [InlineData("gbk")]
    [InlineData("GBK")]
    [InlineData("big5")]
    [InlineData("sjis")]
    [InlineData("cp932")]
    [InlineData("gb18030")]
    [InlineData("euckr")]
    [InlineData("utf16")]
    [InlineData("swe7")]
    [InlineData("nonesuch")]
    public async Task A_character_set_in_which_a_quote_can_be_part_of_a_character_is_refused(string charset)
    {
        string table = Rig.Configure("mysql", Server + $"charset = {charset}\nquery = SELECT 'INJECTED' FROM dual WHERE 'x'='%s'\n");
        Assert.Equal("!", await Rig.AskAsync(table, "\u4e2d' OR 1=1 -- "));
        Assert.Contains(Rig.Log.All, line => line.Contains($".cf, line 6: charset = {charset} is refused", StringComparison.Ordinal) && line.Contains("utf8mb4", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("utf8")]
    [InlineData("UTF8MB4")]
    [InlineData("latin1")]
    [InlineData("ujis")]
    [InlineData("gb2312")]
    [InlineData("binary")]
    public async Task No_key_becomes_syntax_in_the_character_sets_that_are_taken(string charset)
    {
        string table = Rig.Configure("mysql", Server + $"charset = {charset}\nquery = SELECT 'INJECTED' FROM dual WHERE 'x'='%s'\n");
        foreach (string key in (string[])["\u4e2d' OR 1=1 -- ", "\u00e9' OR 1=1 -- ", "\ud83d\ude00' OR 1=1 -- ", "\u4e2d\\' OR 1=1 -- ", "\u8fbd\\"])
        {
            Assert.Equal("-", await Rig.AskAsync(table, key));
        }
    }

    [Fact]
    public async Task What_the_server_does_to_a_fresh_connection_does_not_make_a_key_syntax()
    {
        _ = Server;
        foreach (string statement in (string[])["SET NAMES gbk", "SET sql_mode = ''NO_BACKSLASH_ESCAPES''"])
        {
            await mysql.RunAsync($"SET GLOBAL init_connect = '{statement}'");
            try
            {
                string table = Rig.Configure("mysql", Server + "query = SELECT 'INJECTED' FROM dual WHERE 'x'='%s'\n");
                Assert.Equal("-", await Rig.AskAsync(table, "\u4e2d' OR 1=1 -- "));
                Assert.Equal("-", await Rig.AskAsync(table, "' OR 1=1 -- "));
            }
            finally
            {
                await mysql.RunAsync("SET GLOBAL init_connect = ''");
            }
        }
    }

    [Fact]
    public async Task A_server_without_backslash_escapes_gets_none()
    {
        await mysql.RunAsync("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'");
        try
        {
            string table = Rig.Configure("mysql", Server + "query = SELECT '%s'\n");
            Assert.Equal(@"x\'y", await Rig.AskAsync(table, @"x\'y"));
            Assert.Equal(@"\", await Rig.AskAsync(table, @"\"));
        }
        finally
        {
            await mysql.RunAsync("SET GLOBAL sql_mode = DEFAULT");
        }
    }

    [Fact]
    public async Task A_server_that_asks_for_a_file_gets_none()
    {
        // A greeting and an OK as a server sends them, then "LOCAL INFILE /etc/passwd" instead of rows.
        await using TableServer server = new(static async (stream, _) =>
        {
            byte[] greeting = [10, .. "5.7.0\0"u8, 1, 0, 0, 0, .. "12345678\0"u8, 0xff, 0xf7, 45, 2, 0, 0x08, 0, 21, .. new byte[10], .. "123456789012\0mysql_native_password\0"u8];
            await WriteAsync(stream, 0, greeting);
            await ReadAsync(stream);
            await WriteAsync(stream, 2, [0, 0, 0, 2, 0, 0, 0]);
            await ReadAsync(stream);
            await WriteAsync(stream, 1, [0xfb, .. "/etc/passwd"u8]);
            Assert.Equal(0, await stream.ReadAsync(new byte[1]));
        });
        Assert.Equal("!", await Rig.AskAsync(Rig.Configure("mysql", $"hosts = 127.0.0.1:{server.Port}\nuser = u\npassword = p\ndbname = d\noption_group =\n" + ByAddress), "joe"));
        Assert.Contains(Rig.Log.All, static line => line.Contains("the server asks for a file of ours", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long()
    {
        _ = Server;
        string table = Rig.Configure("mysql", As("mail") + ByAddress + "retry_interval = 1\n");
        await ServerStates.RunAsync(Rig, mysql.Server, table, "joe", "local");
    }

    private static async Task ReadAsync(Stream stream)
    {
        byte[] head = new byte[4];
        await stream.ReadExactlyAsync(head);
        await stream.ReadExactlyAsync(new byte[head[0] | (head[1] << 8) | (head[2] << 16)]);
    }

    private static async Task WriteAsync(Stream stream, byte number, byte[] content) =>
        await stream.WriteAsync((byte[])[(byte)content.Length, 0, 0, number, .. content]);
}
