using System.Globalization;
using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

/// <summary>lmdb and cdb files: what is theirs alone.</summary>
public sealed class LmdbAndCdbTests
{
    [Fact]
    public void A_cdb_file_is_byte_for_byte_that_of_postfix()
    {
        using var bench = new TableBench();
        bench.Write("map", TableEntries.Source(3000));
        bench.Postfix("postmap", "", "cdb:map");
        byte[] theirs = File.ReadAllBytes(bench["map.cdb"]);
        bench.Run(PostmapOracleTests.Ours("postmap"), "", "cdb:map");
        Assert.Equal(theirs, File.ReadAllBytes(bench["map.cdb"]));
    }

    [Fact]
    public async Task Lookups_beside_writers_of_lmdb_see_one_table_or_the_next_and_no_mixture()
    {
        // Each update by Postfix is a transaction in place, which uses pages of the one before the last again.
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(2000) + "version 0\n");
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
                Assert.Equal(TableEntries.Value(key), (await table.LookupAsync(TableEntries.Key(key), CancellationToken.None)).Value);
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
}
