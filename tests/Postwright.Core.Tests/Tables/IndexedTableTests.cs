using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tests.Tables;

/// <summary>What holds for each kind of indexed file: made by Postfix and read here, made here and read by Postfix.</summary>
public sealed class IndexedTableTests
{
    private static readonly string[] Types = ["hash", "btree", "lmdb", "cdb"];

    public static TheoryData<string, int> Sizes =>
        [.. Types.SelectMany(type => ((int[])[1, 1000, 50000]).Select(count => new TheoryDataRow<string, int>(type, count)))];

    [Theory]
    [MemberData(nameof(Sizes))]
    public async Task Files_made_by_postfix_are_read_entry_by_entry(string type, int count)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(count, Letters(type)));
        Assert.Equal(0, bench.Postfix("postmap", "", $"{type}:{path}").Status);
        for (int i = 0; i < count; i++)
        {
            Assert.Equal("=" + TableEntries.Value(i), await bench.AskAsync($"{type}:{path}", TableEntries.Key(i, Letters(type)).ToUpperInvariant()));
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
        bench.Write("map", TableEntries.Source(count, Letters(type)));
        string ours = PostmapOracleTests.Ours("postmap");
        Assert.Equal((0, "", ""), bench.Run(ours, "", $"{type}:map"));
        string keys = string.Concat(Enumerable.Range(0, count).Select(i => TableEntries.Key(i, Letters(type)) + "\n"));
        string expected = string.Concat(Enumerable.Range(0, count).Select(i => $"{TableEntries.Key(i, Letters(type))}\t{TableEntries.Value(i)}\n"));
        Assert.Equal((0, expected, ""), bench.Postfix("postmap", keys, "-q", "-", $"{type}:map"));
        Assert.Equal((0, expected, ""), bench.Run(ours, keys, "-q", "-", $"{type}:map"));
    }

    [Theory]
    [InlineData("btree", "")]
    [InlineData("lmdb", "")]
    [InlineData("btree", "-w")]
    [InlineData("lmdb", "-w")]
    [InlineData("btree", "-r")]
    [InlineData("lmdb", "-r")]
    [InlineData("lmdb", "-n")]
    public void A_source_in_any_order_makes_the_table_of_postfix_with_the_same_warnings(string type, string option)
    {
        // Keys of a few letters: many come twice, and many begin as another one does.
        var random = new Random(11);
        var source = new System.Text.StringBuilder();
        for (int i = 0; i < 5000; i++)
        {
            string key = string.Concat(Enumerable.Range(0, 1 + random.Next(random.Next(2) == 0 ? 6 : 40)).Select(_ => random.Next(12) == 0 ? 'B' : random.Next(8) == 0 ? '\u00e9' : 'a'));
            source.Append(System.Globalization.CultureInfo.InvariantCulture, $"{key} value {i}\n");
            source.Append(i % 500 == 7 ? "alone\n" : "");
        }

        using var bench = new TableBench();
        bench.Write("map", source.ToString());
        string[] arguments = option.Length == 0 ? [$"{type}:map"] : [option, $"{type}:map"];
        (int status, string _, string warnings) = bench.Postfix("postmap", "", arguments);
        Assert.Equal(0, status);
        string entries = bench.Postfix("postmap", "", "-s", $"{type}:map").Out;
        File.Delete(bench["map" + IndexKind.Of(type)!.Suffix]);
        Assert.Equal((0, "", warnings), bench.Run(PostmapOracleTests.Ours("postmap"), "", arguments));
        Assert.Equal(entries, bench.Postfix("postmap", "", "-s", $"{type}:map").Out);
        Assert.Equal(entries, bench.Run(PostmapOracleTests.Ours("postmap"), "", "-s", $"{type}:map").Out);
    }

    [Theory]
    [InlineData("hash", 1000)]
    [InlineData("btree", 1000)]
    [InlineData("lmdb", 3000)]
    public void Entries_are_listed_in_the_order_of_postfix(string type, int count)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(count, Letters(type)));
        bench.Postfix("postmap", "", $"{type}:{path}");
        var listed = new StringWriter();
        Assert.Null(((IListable)bench.Registry.Open($"{type}:{path}")).List((key, value) => listed.Write($"{key}\t{value}\n")));
        Assert.Equal(bench.Postfix("postmap", "", "-s", $"{type}:{path}").Out, listed.ToString());
    }

    [Theory]
    [InlineData("hash")]
    [InlineData("btree")]
    [InlineData("lmdb")]
    [InlineData("cdb")]
    public async Task A_rewritten_and_a_replaced_file_count_at_the_next_lookup(string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", "a 1\n");
        string suffix = IndexKind.Of(type)!.Suffix;
        bench.Postfix("postmap", "", $"{type}:{path}");
        Assert.Equal("=1", await bench.AskAsync($"{type}:{path}", "a"));
        bench.Write("map", "a 2\nb 3\n");
        bench.Postfix("postmap", "", $"{type}:{path}");
        Assert.Equal("=2", await bench.AskAsync($"{type}:{path}", "a"));
        string other = bench.Write("other", "a 4\n");
        bench.Postfix("postmap", "", $"{type}:{other}");
        File.Move(other + suffix, path + suffix, overwrite: true);
        Assert.Equal("=4", await bench.AskAsync($"{type}:{path}", "a"));
        Assert.Equal("-", await bench.AskAsync($"{type}:{path}", "b"));
        File.Delete(path + suffix);
        Assert.Equal("!", await bench.AskAsync($"{type}:{path}", "a"));
        Assert.Equal($"warning: {type}:{path} is unavailable. open database {path}{suffix}: No such file or directory", Assert.Single(bench.LogLines));
        bench.Postfix("postmap", "", $"{type}:{path}");
        Assert.Equal("=2", await bench.AskAsync($"{type}:{path}", "a"));
    }

    private static int Letters(string type) => type is "hash" or "btree" ? 2000 : 400;
}
