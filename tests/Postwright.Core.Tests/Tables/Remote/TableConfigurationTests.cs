using Postwright.Core.Tables.Remote;
using Postwright.Core.Tables.Remote.Sql;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>Configuration files of tables, in main.cf and of their own, and their templates.</summary>
public sealed class TableConfigurationTests
{
    [Fact]
    public async Task A_name_that_is_no_path_has_its_settings_in_main_cf()
    {
        using RemoteRig first = new();
        using RemoteRig rig = new($"base = {first.Folder}\nusers_dbpath = $base/none.db\nusers_query = SELECT 1\n", TimeProvider.System);
        Assert.Equal("!", await rig.AskAsync("sqlite:users", "a"));
        Assert.Contains(rig.Log.All, line => line.Contains($"Can't open database: {first.Folder}/none.db", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("query = SELECT 1\n", ".cf: bad string length 0 < 1: dbpath = ")]
    [InlineData("dbpath = /x\n", ".cf: bad string length 0 < 1: table = ")]
    [InlineData("dbpath = /x\ntable =\n", ".cf: bad string length 0 < 1: table = ")]
    [InlineData("dbpath = /x\nquery =\ntable = t\n", ".cf: bad string length 0 < 1: select_field = ")]
    [InlineData("dbpath = /x\nquery = x\nresult_format =\n", ".cf: bad string length 0 < 1: result_format = ")]
    [InlineData("dbpath = /x\nquery = %q\n", "Invalid query template: %q")]
    [InlineData("dbpath = /x\nquery = %\n", "Invalid query template: %")]
    [InlineData("dbpath = /x\nquery = x\nresult_format = %0\n", "Invalid result template: %0")]
    [InlineData("dbpath = /x\nquery = x\nexpansion_limit = many\n", "expansion_limit must be a whole number")]
    public async Task A_setting_that_cannot_be_used_is_an_error_that_names_it(string settings, string reason)
    {
        using RemoteRig rig = new();
        Assert.Equal("!", await rig.AskAsync(rig.Configure("sqlite", settings), "a"));
        Assert.Contains(rig.Log.All, line => line.StartsWith("postfix/proxymap: error: ", StringComparison.Ordinal) && line.Contains(reason, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("ldap", "bogus\nserver_host = 127.0.0.9", "line 1: missing '=' after attribute name: \"bogus\"")]
    [InlineData("ldap", "server_host 127.0.0.9", "line 1: missing '=' after attribute name: \"server_host 127.0.0.9\"")]
    [InlineData("mysql", "# hosts\nhosts: db.example", "line 2: missing '=' after attribute name: \"hosts: db.example\"")]
    [InlineData("redis", "= x", "line 1: missing attribute name: \"= x\"")]
    [InlineData("mysql", "query = x", ".cf: bad string length 0 < 1: dbname = ")]
    [InlineData("pgsql", "hosts = localhost\nquery = x", ".cf: bad string length 0 < 1: dbname = ")]
    [InlineData("pgsql", "hosts = postgresql://localhost\nquery = x", ".cf: bad string length 0 < 1: dbname = ")]
    public async Task A_damaged_file_asks_no_server(string type, string settings, string reason)
    {
        using RemoteRig rig = new();
        await rig.RefusesAsync(type, settings, reason);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_an_error()
    {
        using RemoteRig rig = new();
        Assert.Equal("!", await rig.AskAsync("pgsql:/nonexistent/x.cf", "a"));
        Assert.Contains("postfix/proxymap: error: open /nonexistent/x.cf: No such file or directory", rig.Log.All);
    }

    [Fact]
    public void Option_files_of_mysql_are_read_by_group()
    {
        Dictionary<string, string> options = [];
        MysqlTable.AddOptions("# x\n[client]\nuser = joe\npassword=\"a b\"\n[mysqld]\nuser = mysql\n[ own ]\nssl_ca = /ca\nskip\n!include x\n", ["client", "own"], options);
        Assert.Equal([new("user", "joe"), new("password", "a b"), new("ssl-ca", "/ca"), new("skip", "")], options);
    }

    [Theory]
    [InlineData("postgresql://joe:p%40ss@db.example:5433/mail?sslmode=verify-full&sslrootcert=/ca", "db.example:5433", "joe", "p@ss", "mail")]
    [InlineData("postgresql://db.example", "db.example:5432", "u", "p", "d")]
    [InlineData("unix:/run/pg", "/run/pg/.s.PGSQL.5432", "u", "p", "d")]
    [InlineData("unix:/run/pg/.s.PGSQL.5433", "/run/pg/.s.PGSQL.5433", "u", "p", "d")]
    [InlineData("inet:db.example:77", "db.example:77", "u", "p", "d")]
    [InlineData("[::1]:77", "[::1]:77", "u", "p", "d")]
    public void Hosts_of_pgsql_have_several_forms(string host, string endpoint, string user, string password, string database)
    {
        TableConfigurationFile settings = TableConfigurationFile.Parse("user = u\npassword = p\ndbname = d\n", "x", Assert.Fail);
        (RemoteEndpoint found, PgsqlLogin login) = PgsqlTable.Host(host, settings, "UTF8");
        Assert.Equal((endpoint, user, password, database), (found.ToString(), login.User, login.Password, login.Database));
    }

    [Fact]
    public void Whatever_a_file_or_a_template_holds_is_read_without_another_exception()
    {
        string[] pieces = ["query", "=", " ", "\n", "\n ", "#", "%", "%s", "%u", "%d", "%9", "%%", "result_format", "@", ".", "a", "$x", "\0", "{", "hosts", "unix:", "postgresql://", "[", ":", "?sslmode="];
        FuzzTime fuzz = new(50_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            string Text() => string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)]));
            try
            {
                TableConfigurationFile settings = TableConfigurationFile.Parse(Text() + "\nhosts = " + Text() + "\n", "x", static _ => { });
                TableTemplates templates = new("x", static _ => { });
                string query = templates.Add(Text(), isQuery: true);
                string result = templates.Add(Text(), isQuery: false);
                string key = Text();
                if (templates.Accepts(key))
                {
                    string expanded = templates.Query(query, key, static part => $"<{part}>");
                    Assert.True(expanded.Length < 10_000);
                    templates.Result(result, Text(), key);
                }

                foreach (string host in settings.GetWords("hosts"))
                {
                    PgsqlTable.Host(host, settings, "UTF8");
                }
            }
            catch (RemoteConfigurationException)
            {
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }
    }

    [Fact]
    public void Whatever_an_sql_server_sends_is_read_without_another_exception()
    {
        FuzzTime fuzz = new(100_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] bytes = new byte[random.Next(40)];
            random.NextBytes(bytes);
            for (int i = 0; i < bytes.Length; i++)
            {
                // Small numbers are lengths that fit, often enough.
                bytes[i] = random.Next(3) == 0 ? (byte)random.Next(6) : bytes[i];
            }

            foreach (Action<byte[]> parse in (Action<byte[]>[])
                [
                    static b => PgsqlConnection.AddRow(b, []),
                    static b => PgsqlConnection.ErrorText(b, out _),
                    static b => MysqlConnection.AddRow(b, 3, []),
                    static b => MysqlConnection.ErrorText(b),
                    static b => MysqlConnection.ParseGreeting([10, .. b, 0, .. b, .. b]),
                ])
            {
                try
                {
                    parse(bytes);
                }
                catch (RemoteFailure)
                {
                }
                catch (Exception failure)
                {
                    throw new InvalidOperationException($"seed {seed}", failure);
                }
            }
        }
    }
}
