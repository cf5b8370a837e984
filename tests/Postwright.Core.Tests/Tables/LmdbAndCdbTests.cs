using System.Globalization;
using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

/// <summary>lmdb and cdb files: made by Postfix and read here, made here and read by Postfix, changed while they are read.</summary>
public sealed class LmdbAndCdbTests
{
    public static TheoryData<string, int> Sizes => new()
    {
        { "lmdb", 1 }, { "lmdb", 1000 }, { "lmdb", 50000 }, { "cdb", 1 }, { "cdb", 1000 }, { "cdb", 50000 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public async Task Files_made_by_postfix_are_read_entry_by_entry(string type, int count)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", Source(count));
        Assert.Equal(0, bench.Postfix("postmap", "", $"{type}:{path}").Status);
        for (int i = 0; i < count; i++)
        {
            Assert.Equal("=" + Value(i), await bench.AskAsync($"{type}:{path}", Key(i).ToUpperInvariant()));
        }

        Assert.Equal("-", await bench.AskAsync($"{type}:{path}", "nobody@example.com"));
        Assert.Equal("-", await bench.AskAsync($"{type}:{path}", new string('k', 600)));
        Assert.Equal("-", await bench.AskAsync($"{type}:{path}", ""));
        Assert.Empty(bench.LogLines);
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Postfix_reads_what_our_postmap_wrote(string type, int count)
    {
        using var bench = new TableBench();
        bench.Write("map", Source(count));
        string ours = PostmapOracleTests.Ours("postmap");
        Assert.Equal((0, "", ""), bench.Run(ours, "", $"{type}:map"));
        string keys = string.Concat(Enumerable.Range(0, count).Select(i => Key(i) + "\n"));
        string expected = string.Concat(Enumerable.Range(0, count).Select(i => $"{Key(i)}\t{Value(i)}\n"));
        Assert.Equal((0, expected, ""), bench.Postfix("postmap", keys, "-q", "-", $"{type}:map"));
        Assert.Equal((0, expected, ""), bench.Run(ours, keys, "-q", "-", $"{type}:map"));
    }

    [Fact]
    public void A_cdb_file_is_byte_for_byte_that_of_postfix()
    {
        using var bench = new TableBench();
        bench.Write("map", Source(3000));
        bench.Postfix("postmap", "", "cdb:map");
        byte[] theirs = File.ReadAllBytes(bench["map.cdb"]);
        bench.Run(PostmapOracleTests.Ours("postmap"), "", "cdb:map");
        Assert.Equal(theirs, File.ReadAllBytes(bench["map.cdb"]));
    }

    [Fact]
    public void Entries_of_lmdb_are_listed_in_the_order_of_postfix()
    {
        using var bench = new TableBench();
        string path = bench.Write("map", Source(3000));
        bench.Postfix("postmap", "", $"lmdb:{path}");
        var listed = new StringWriter();
        Assert.Null(((IListable)bench.Registry.Open($"lmdb:{path}")).List((key, value) => listed.Write($"{key}\t{value}\n")));
        Assert.Equal(bench.Postfix("postmap", "", "-s", $"lmdb:{path}").Out, listed.ToString());
    }

    [Theory]
    [InlineData("lmdb")]
    [InlineData("cdb")]
    public async Task A_rewritten_and_a_replaced_file_count_at_the_next_lookup(string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", "a 1\n");
        bench.Postfix("postmap", "", $"{type}:{path}");
        Assert.Equal("=1", await bench.AskAsync($"{type}:{path}", "a"));
        bench.Write("map", "a 2\nb 3\n");
        bench.Postfix("postmap", "", $"{type}:{path}");
        Assert.Equal("=2", await bench.AskAsync($"{type}:{path}", "a"));
        string other = bench.Write("other", "a 4\n");
        bench.Postfix("postmap", "", $"{type}:{other}");
        File.Move($"{other}.{type}", $"{path}.{type}", overwrite: true);
        Assert.Equal("=4", await bench.AskAsync($"{type}:{path}", "a"));
        Assert.Equal("-", await bench.AskAsync($"{type}:{path}", "b"));
        File.Delete($"{path}.{type}");
        Assert.Equal("!", await bench.AskAsync($"{type}:{path}", "a"));
        Assert.Equal($"warning: {type}:{path} is unavailable. open database {path}.{type}: No such file or directory", Assert.Single(bench.LogLines));
    }

    [Fact]
    public async Task Lookups_beside_writers_of_lmdb_see_one_table_or_the_next_and_no_mixture()
    {
        // Each update by Postfix is a transaction in place, which uses pages of the one before the last again.
        using var bench = new TableBench();
        string path = bench.Write("map", Source(2000) + "version 0\n");
        bench.Postfix("postmap", "", $"lmdb:{path}");
        using var registry = new TableRegistry(bench.Log, TimeProvider.System);
        ILookupTable table = registry.Open($"lmdb:{path}");
        using var done = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(ReadAsync, TestContext.Current.CancellationToken))];
        for (int i = 1; i <= 25; i++)
        {
            string changes = string.Concat(Enumerable.Range(0, 300).Select(n => $"other{n} {i}{new string('o', n)}\n"));
            Assert.Equal(0, bench.Postfix("postmap", changes + $"version {i}\n", "-ir", $"lmdb:{path}").Status);
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(readers), count => Assert.NotEqual(0, count));
        Assert.Equal("25", (await table.LookupAsync("version", CancellationToken.None)).Value);
        Assert.Empty(bench.LogLines);

        async Task<int> ReadAsync()
        {
            int count = 0;
            int last = 0;
            do
            {
                int key = count % 2000;
                Assert.Equal(Value(key), (await table.LookupAsync(Key(key), CancellationToken.None)).Value);
                int version = int.Parse((await table.LookupAsync("version", CancellationToken.None)).Value!, CultureInfo.InvariantCulture);
                Assert.True(version >= last, $"{version} after {last}");
                last = version;
                count++;
                await Task.Yield();
            }
            while (!done.IsCancellationRequested);

            return count;
        }
    }

    [Fact]
    public void An_lmdb_build_that_fails_leaves_the_old_table()
    {
        using var bench = new TableBench();
        string ours = PostmapOracleTests.Ours("postmap");
        bench.Write("map", "a 1\n");
        Assert.Equal((0, "", ""), bench.Run(ours, "", "lmdb:map"));
        bench.Write("map", "a 2\n" + new string('k', 600) + " v\n");
        (int status, string _, string error) = bench.Run(ours, "", "lmdb:map");
        Assert.Equal(1, status);
        Assert.StartsWith("postmap: fatal: error updating lmdb:map: MDB_BAD_VALSIZE: ", error, StringComparison.Ordinal);
        Assert.Equal((0, "1\n", ""), bench.Run(ours, "", "-q", "a", "lmdb:map"));
    }

    [Fact]
    public async Task A_debug_table_logs_what_the_table_behind_it_answers()
    {
        using var bench = new TableBench();
        Assert.Equal("=b", await bench.AskAsync("debug:inline:{a=b}", "a"));
        Assert.Equal("-", await bench.AskAsync("debug:inline:{a=b}", "c"));
        Assert.Equal("!", await bench.AskAsync("debug:fail:x", "c"));
        Assert.Equal("-", await bench.AskAsync("internal:x", "c"));
        Assert.Equal(
            ["inline:{a=b} lookup: \"a\" = \"b\"", "inline:{a=b} lookup: \"c\" = \"not_found\"", "fail:x lookup: \"c\" = \"error\""], bench.LogLines);
    }

    internal static string Key(int i) => i % 37 == 5 ? $"key{i}{new string('k', 400)}@example.com" : $"key{i}@example{i % 97}.com";

    internal static string Value(int i) => (i % 50) switch
    {
        0 => $"v{i} " + new string('x', 9000),
        1 => $"v{i} " + new string('y', 1500),
        _ => $"v{i}",
    };

    internal static string Source(int count) => string.Concat(Enumerable.Range(0, count).Select(i => $"{Key(i)} {Value(i)}\n"));
}
