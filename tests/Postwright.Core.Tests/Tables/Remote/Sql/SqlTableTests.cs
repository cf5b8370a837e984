namespace Postwright.Core.Tests.Tables.Remote.Sql;

/// <summary>What the SQL tables have in common: the same content, settings and keys, against each real server and the real Postfix.</summary>
public abstract class SqlTableTests : IDisposable
{
    /// <summary>Works on each of them.</summary>
    public const string Tables = """
        CREATE TABLE aliases (address VARCHAR(200), goto VARCHAR(200), note VARCHAR(200));
        INSERT INTO aliases VALUES ('joe@example.com', 'joe@inside.example', 'a');
        INSERT INTO aliases VALUES ('list@example.com', 'one@a.example', 'b');
        INSERT INTO aliases VALUES ('list@example.com', 'two', 'c');
        INSERT INTO aliases VALUES ('list@example.com', '', 'd');
        INSERT INTO aliases VALUES ('list@example.com', NULL, 'e');
        INSERT INTO aliases VALUES ('list@example.com', '@three.example', 'f');
        INSERT INTO aliases VALUES ('o''brien@example.com', 'brien', 'g');
        INSERT INTO aliases VALUES ('joe', 'local', 'h');
        INSERT INTO aliases VALUES ('@example.com', 'catchall', 'i');
        INSERT INTO aliases VALUES ('example.com', 'domain', 'j');
        INSERT INTO aliases VALUES ('100%', 'percent', 'k');
        """;

    private const string ByAddress = "query = SELECT goto FROM aliases WHERE address = '%s'\n";

    private static readonly string[] Settings =
    [
        ByAddress,
        "select_field = goto\ntable = aliases\nwhere_field = address\nadditional_conditions = AND note <> 'a'\n",
        ByAddress + "result_format = smtp:[%d]:%u:%s\n",
        ByAddress + "result_format = %s:%S:%U:%%\n",
        ByAddress + "result_format = %D/%1/%2\n",
        ByAddress + "expansion_limit = 2\n",
        ByAddress + "expansion_limit = 1\nresult_format = %d\n",
        ByAddress + "domain = example.com, other.example\n",
        "query = SELECT '%u' FROM aliases WHERE address = '%u@%d'\n",
        "query = SELECT '%1.%2.%3' FROM aliases WHERE note = 'a'\n",
        "query = SELECT note, goto FROM aliases WHERE address = '%S' ORDER BY note\n",
        "query = SELECT note FROM aliases WHERE address = '%s' ORDER BY note LIMIT 2\n",
        "query = SELECT 1 FROM nosuch WHERE a = '%s'\n",
        "query = SELECT note FROM aliases WHERE note = 'a' AND '%U' = '%s'\n",
    ];

    private static readonly string[] Keys =
    [
        "joe@example.com", "JOE@Example.COM", "list@example.com", "o'brien@example.com", "joe", "@example.com", "example.com", "100%", "joe+ext@mail.example.com",
        "x' OR '1'='1", "x' OR 1=1 -- ", @"x\' OR 1=1 -- ", @"x\", "x\" OR \"1\"=\"1", "x'; DROP TABLE aliases; --", "joe@", "a@b@example.com", "u@a..b.c", "\u00e9@example.com", "'", "%s", "none@example.com",
    ];

    private protected RemoteRig Rig { get; } = new(time: TimeProvider.System);

    protected abstract string Type { get; }

    /// <summary>The settings that lead to the server.</summary>
    protected abstract string Server { get; }

    public virtual void Dispose()
    {
        Rig.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public Task Answers_are_those_of_postfix() => PostfixAnswers.CompareAsync(Rig, Type, Server, Settings, Keys);

    [Fact]
    public async Task Keys_never_become_syntax()
    {
        string table = Rig.Configure(Type, Server + ByAddress);
        foreach (string key in Keys.Where(static key => key.StartsWith('x') || key is "'" or "%s"))
        {
            Assert.Equal("-", await Rig.AskAsync(table, key));
        }

        Assert.Equal("brien", await Rig.AskAsync(table, "o'brien@example.com"));
    }

    [Fact]
    public async Task An_answer_of_any_size_costs_bounded_memory()
    {
        string table = Rig.Configure(Type, Server + "query = WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT a.i FROM n a, n b WHERE '%s' <> ''\n");
        Assert.Equal("!", await Rig.AskAsync(table, "a"));
        Assert.Contains(Rig.Log.All, static line => line.Contains("the answer has more than 1048576 bytes", StringComparison.Ordinal));

        // The host is not to blame.
        Assert.Equal("local", await Rig.AskAsync(Rig.Configure(Type, Server + ByAddress), "joe"));
        Assert.Equal("!", await Rig.AskAsync(table, "b"));
        Assert.DoesNotContain(Rig.Log.All, static line => line.Contains("is not asked", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Many_sessions_share_a_few_connections()
    {
        string table = Rig.Configure(Type, Server + ByAddress, "{connections=2}");
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Rig.AskAsync(table, i % 2 == 0 ? "joe" : $"none{i}")));
        Assert.Equal(50, answers.Count(static answer => answer == "local"));
        Assert.Equal(50, answers.Count(static answer => answer == "-"));
    }
}
