using System.Diagnostics;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote.Sql;

/// <summary>sqlite: on files: there, locked, gone, replaced.</summary>
public sealed class SqliteTableTests : SqlTableTests, IAsyncLifetime
{
    private string Database => Path.Combine(Rig.Folder, "aliases.db");

    protected override string Type => "sqlite";

    protected override string Server => $"dbpath = {Database}\n";

    private string Table(string options = "") => Rig.Configure("sqlite", Server + "query = SELECT goto FROM aliases WHERE address = '%s'\n", options);

    public async ValueTask InitializeAsync() => await MakeAsync(Database, Tables);

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_file_that_is_locked_gone_or_back_is_an_error_for_as_long()
    {
        string table = Table("{timeout=200s}");
        string quick = Table("{timeout=1s}");
        Assert.Equal("local", await Rig.AskAsync(table, "joe"));
        using Process writer = Process.Start(new ProcessStartInfo("/usr/bin/sqlite3", [Database]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await writer.StandardInput.WriteLineAsync("BEGIN EXCLUSIVE; SELECT 'locked';");
        await writer.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal("locked", await writer.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        Assert.Equal("!", await Rig.AskAsync(quick, "joe"));
        await writer.StandardInput.WriteLineAsync("COMMIT;");
        writer.StandardInput.Close();
        await writer.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("local", await Rig.AskAsync(table, "joe"));

        File.Move(Database, Database + ".away");
        Assert.Equal("!", await Rig.AskAsync(table, "joe"));
        Assert.Contains(Rig.Log.All, line => line.EndsWith($"Can't open database: {Database}: No such file or directory", StringComparison.Ordinal));
        File.Move(Database + ".away", Database);
        Assert.Equal("local", await Rig.AskAsync(table, "joe"));
    }

    [Fact]
    public async Task A_replaced_file_counts_at_the_next_lookup()
    {
        string table = Table();
        Assert.Equal("local", await Rig.AskAsync(table, "joe"));
        await MakeAsync(Database + ".new", "CREATE TABLE aliases (address TEXT, goto TEXT); INSERT INTO aliases VALUES ('joe', 'new');");
        File.Move(Database + ".new", Database, overwrite: true);
        Assert.Equal("new", await Rig.AskAsync(table, "joe"));
    }

    [Fact]
    public async Task A_query_without_end_is_interrupted()
    {
        string table = Rig.Configure("sqlite", Server + "query = WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n WHERE '%s' <> ''\n", "{timeout=1s}");
        Assert.Equal("!", await Rig.AskAsync(table, "joe"));
        Assert.Equal("local", await Rig.AskAsync(Table(), "joe"));
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_an_error()
    {
        await File.WriteAllTextAsync(Database, new string('x', 10_000), TestContext.Current.CancellationToken);
        Assert.Equal("!", await Rig.AskAsync(Table(), "joe"));
        Assert.Contains(Rig.Log.All, static line => line.Contains("file is not a database", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Files_with_random_damage_give_an_answer_or_an_error()
    {
        byte[] good = await File.ReadAllBytesAsync(Database, TestContext.Current.CancellationToken);
        string table = Table("{timeout=5s}");
        int errors = 0;
        var time = new FuzzTime(200);
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            byte[] damaged = good[..(random.Next(4) == 0 ? random.Next(good.Length) : good.Length)];
            for (int i = random.Next(200); i > 0 && damaged.Length > 0; i--)
            {
                // Not the sixteen bytes that say that it is a database: they would end each look at once.
                damaged[Math.Min(random.Next(16, good.Length), damaged.Length - 1)] = (byte)random.Next(256);
            }

            await File.WriteAllBytesAsync(Database + ".new", damaged, TestContext.Current.CancellationToken);
            File.Move(Database + ".new", Database, overwrite: true);
            errors += await Rig.AskAsync(table, "joe") == "!" ? 1 : 0;
        }

        Assert.True(errors > 0);
        await File.WriteAllBytesAsync(Database + ".new", good, TestContext.Current.CancellationToken);
        File.Move(Database + ".new", Database, overwrite: true);
        Assert.Equal("local", await Rig.AskAsync(table, "joe"));
    }

    [Fact]
    public async Task A_lookup_never_writes()
    {
        string table = Rig.Configure("sqlite", Server + "query = INSERT INTO aliases VALUES ('%s', 'x', 'y') RETURNING goto\n");
        Assert.Equal("!", await Rig.AskAsync(table, "new"));
        Assert.Equal("-", await Rig.AskAsync(Table(), "new"));
    }

    private static async Task MakeAsync(string path, string content)
    {
        CommandRun run = await CommandRun.RunAsync("/usr/bin/sqlite3", [path], content);
        Assert.Equal("", run.Error);
    }
}
