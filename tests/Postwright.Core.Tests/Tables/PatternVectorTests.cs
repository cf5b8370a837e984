using Postwright.Core.Tables;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

public sealed class PatternVectorTests
{
    [Theory]
    [InlineData("cidr", "dict_cidr")]
    [InlineData("regexp", "dict_regexp")]
    [InlineData("pcre", "dict_pcre")]
    public async Task Rules_and_warnings_are_those_of_the_vectors(string type, string vector)
    {
        string folder = AddressVectorTests.Vectors("util");
        using var bench = new TableBench();
        string path = Path.Combine(folder, vector + ".map");
        bench.Registry.Open($"{type}:{path}");
        var actual = bench.LogLines.Select(line => "./dict_open: " + line.Replace(path, vector + ".map", StringComparison.Ordinal)).ToList();
        foreach (string line in File.ReadLines(Path.Combine(folder, vector + ".in")))
        {
            actual.Add("> " + line);
            LookupResult result = await bench.Registry.Open($"{type}:{path}").LookupAsync(line[4..], CancellationToken.None);
            actual.Add(result.IsFound ? $"{line[4..]}={result.Value}" : $"{line[4..]}: not found");
        }

        Assert.Equal(File.ReadLines(Path.Combine(folder, vector + ".ref")).Where(line => !line.StartsWith("owner=", StringComparison.Ordinal)), actual);
    }

    [Fact]
    public void Text_tables_answer_as_the_dict_thash_vectors()
    {
        string folder = AddressVectorTests.Vectors("util");
        using var bench = new TableBench();
        string path = Path.Combine(folder, "dict_thash.in");
        var listed = new List<string>();
        ((IListable)bench.Registry.Open($"texthash:{path}")).List((key, value) => listed.Add($"{key}\t{value}"));
        IEnumerable<string> log = bench.LogLines.Select(line => "postmap: " + line.Replace(path, "dict_thash.in", StringComparison.Ordinal));
        Assert.Equal(File.ReadLines(Path.Combine(folder, "dict_thash.ref")).Order(StringComparer.Ordinal), log.Concat(listed).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("regexp:{{/^(.+)@(.+)$/ $2:${1}$$}}", "joe@example.com", "=example.com:joe$")]
    [InlineData("pcre:{{/^(.+?)@(.+)$/ $2:$(1)}}", "joe@example.com", "=example.com:joe")]
    [InlineData("pcre:{{/^(a)?b$/ [$1]}}", "b", "=[]")]
    [InlineData("regexp:{{/^CASE$/i exact}, {/^CASE$/ folded}}", "case", "=folded")]
    [InlineData("regexp:{{/(b)\\1/ twice}}", "abba", "=twice")]
    [InlineData("regexp:{{/^(b)\\1$/ twice}}", "bb\n", "-")]
    [InlineData("regexp:{{/[\\1]/ digit}}", "1", "=digit")]
    [InlineData("regexp:{{/([\\d])\\1/ twice}}", "dd", "=twice")]
    [InlineData("regexp:{{/\\(b\\)\\1/x twice}}", "abba", "=twice")]
    [InlineData("pcre:{{/é/ umlaut}}", "café", "=umlaut")]
    [InlineData("pcre:{{/^a.b$/ any}}", "a\nb", "=any")]
    [InlineData("cidr:{{1.2.3.0/24 net}, {::/0 six}}", "1.2.3.4", "=net")]
    [InlineData("cidr:{{!1.2.3.0/24 other}}", "::1", "-")]
    [InlineData("cidr:{{1.2.3.0/24 net}}", "1.2.3", "-")]
    public async Task Single_rules_answer(string table, string key, string expected)
    {
        using var bench = new TableBench();
        Assert.Equal(expected, await bench.AskAsync(table, key));
        Assert.True(bench.Registry.Open(table).MatchesWholeKeysOnly);
    }

    [Theory]
    [InlineData("{{/(.)/ $0}}")]
    [InlineData("{{/(a)/ x${00}}, {/a/ y}}")]
    [InlineData("{{# comment}, {/a/ x}}")]
    [InlineData("{{/a/ x}}y")]
    [InlineData("{{/a/ x}")]
    public void Postfix_and_postwright_read_inline_rules_alike(string rules)
    {
        using var bench = new TableBench();
        foreach (string type in (string[])["regexp", "pcre"])
        {
            (int Status, string Out, string Error) theirs = bench.Postfix("postmap", "", "-q", "abc", $"{type}:{rules}");
            Assert.Equal(theirs, bench.Run(TestPrograms.PathOf("postmap"), "", "-q", "abc", $"{type}:{rules}"));
        }
    }

    [Fact]
    public async Task A_pattern_that_runs_wild_is_a_temporary_error()
    {
        using var bench = new TableBench();
        Assert.Equal("!", await bench.AskAsync("pcre:{{/^(a+)+$/ x}}", new string('a', 60) + "b"));
        Assert.Contains("match limit exceeded", Assert.Single(bench.LogLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_that_put_the_key_into_a_result_are_refused_where_that_is_unsafe()
    {
        using var bench = new TableBench();
        ILookupTable table = bench.Registry.Open("regexp:{{/(.*)x/ |$1}, {/(.*)/ safe}}", TableSecurity.Identities);
        Assert.Equal("safe", (await table.LookupAsync("rm x", CancellationToken.None)).Value);
        Assert.EndsWith("regular expression substitution is not allowed: skipping this rule", Assert.Single(bench.LogLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_changed_text_file_counts_once_it_has_settled()
    {
        using var bench = new TableBench();
        string path = bench.Write("map", "a 1\n");
        Assert.Equal("=1", await bench.AskAsync($"texthash:{path}", "a"));
        bench.Write("map", "a 22\n");
        bench.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("=1", await bench.AskAsync($"texthash:{path}", "a"));
        bench.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("=22", await bench.AskAsync($"texthash:{path}", "a"));
        File.Delete(path);
        bench.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("=22", await bench.AskAsync($"texthash:{path}", "a"));
        Assert.Single(bench.LogLines);
    }

    [Fact]
    public async Task A_table_that_cannot_be_opened_defers_until_it_can()
    {
        using var bench = new TableBench();
        string path = bench["later"];
        Assert.Equal("!", await bench.AskAsync($"regexp:{path}", "a"));
        Assert.Equal("!", await bench.AskAsync("nosuch:type", "a"));
        Assert.Contains($"error: open {path}: No such file or directory", bench.LogLines);
        Assert.Contains("error: unsupported dictionary type: nosuch", bench.LogLines);
        bench.Write("later", "/a/ b\n");
        bench.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal("=b", await bench.AskAsync($"regexp:{path}", "a"));
    }
}
