using System.Text;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Patterns;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

/// <summary>Large cidr, regexp and pcre tables are asked through an index, and answer what one rule after the other would.</summary>
public sealed class LargePatternTableTests
{
    private static readonly string[] Pieces =
    [
        "abcd", "bcde", "ABCD", "dcba", "abab", "spam", "x", ".", ".*", "\\.", "[ab]", "[^a]", "(ab|cd)", "(abcd)?", "a?", "b*", "c+", "{2}", "{0,1}", "^", "$", "|", "(?:ab)", "(?!spam)",
        "(?i)", "\\d", "\\w", "\\b", "\\x61", "\\Qa", "(a|b)*", "d{2", "{a|b}", "\\(", "[[:alpha:]]", "(?#c)", "\\1", "+?", " ", "@", "é",
    ];

    [Theory]
    [InlineData("regexp")]
    [InlineData("pcre")]
    public async Task A_pattern_among_many_answers_as_it_does_alone(string type)
    {
        using var bench = new TableBench();
        string never = string.Concat(Enumerable.Range(0, 40).Select(i => $"/never{i}here/ no\n"));
        int answers = 0;
        var time = new FuzzTime(150);
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            string rules = string.Concat(Enumerable.Range(0, 12).Select(i => $"{(random.Next(8) == 0 ? "!" : "")}/{Text(random, 6)}/{(random.Next(8) == 0 ? "x" : "")} r{i}\n"));
            rules = $"{rules}if /{Text(random, 3)}/\n/spam/ in\nendif\n/{Text(random, 3)}/ last\n";
            using var registry = new TableRegistry(bench.Log, bench.Time);
            ILookupTable small = registry.Open($"{type}:{bench.Write("small", rules)}");
            ILookupTable large = registry.Open($"{type}:{bench.Write("large", never + rules)}");
            for (int i = 0; i < 20; i++)
            {
                string key = Text(random, 8);
                LookupResult expected = await small.LookupAsync(key, CancellationToken.None);
                LookupResult actual = await large.LookupAsync(key, CancellationToken.None);
                Assert.True(expected.Status == actual.Status && expected.Value == actual.Value, $"seed {seed}, key {key}: {expected.Value} and not {actual.Value}\n{rules}");
                answers += expected.IsFound ? 1 : 0;
            }
        }

        Assert.NotEqual(0, answers);
    }

    [Fact]
    public async Task A_large_cidr_table_answers_by_the_first_block_that_holds_the_address()
    {
        using var bench = new TableBench();
        var random = new Random(5);
        var rules = new List<string>();
        for (int i = 0; i < 400; i++)
        {
            rules.Add(Rule(random, i));
            if (i % 100 == 50)
            {
                rules.Add($"if {(random.Next(2) == 0 ? "!" : "")}10.{random.Next(4)}.0.0/16");
            }

            if (i % 100 == 80)
            {
                rules.Add("endif");
            }
        }

        string path = bench.Write("large", string.Join('\n', rules) + "\n");
        ILookupTable large = bench.Registry.Open($"cidr:{path}");

        // With an IF around each rule, no two stand together.
        string alone = string.Concat(rules.Select(rule => rule.StartsWith("if", StringComparison.Ordinal) || rule == "endif" ? rule + "\n" : $"if {(rule.Contains(':') ? "::/0" : "0.0.0.0/0")}\n{rule}\nendif\n"));
        ILookupTable one = bench.Registry.Open($"cidr:{bench.Write("one", alone)}");
        int found = 0;
        for (int i = 0; i < 5000; i++)
        {
            string key = random.Next(4) == 0 ? $"2001:db8:{random.Next(4)}::{random.Next(8)}" : $"10.{random.Next(8)}.{random.Next(8)}.{random.Next(256)}";
            LookupResult expected = await one.LookupAsync(key, CancellationToken.None);
            Assert.Equal((key, expected), (key, await large.LookupAsync(key, CancellationToken.None)));
            found += expected.IsFound ? 1 : 0;
        }

        Assert.InRange(found, 100, 4900);
        Assert.Empty(bench.LogLines);
    }

    [Theory]
    [InlineData("^user[0-9]+@spam\\.example$", "@spam.example")]
    [InlineData("spam|ham", "")]
    [InlineData("abcd?ef", "abc")]
    [InlineData("abc{2}defg", "defg")]
    [InlineData("(abcd)ef", "ef")]
    [InlineData("(?i)abcd", "")]
    [InlineData("x{a|b}", "")]
    [InlineData("ABC\\.De", "abc.de")]
    public void What_a_match_must_contain_is_taken_only_where_it_is_certain(string pattern, string literal) =>
        Assert.Equal(literal, Encoding.UTF8.GetString(RequiredLiteral.Of(pattern)));

    [Fact]
    public async Task A_group_that_took_no_part_is_empty_whatever_matched_before()
    {
        using var bench = new TableBench();
        Assert.Equal("=[xx][yy]", await bench.AskAsync("pcre:{{/^(xx)(yy)$/ [$1][$2]}, {/^(a)?(b)$/ [$1][$2]}}", "xxyy"));
        Assert.Equal("=[][b]", await bench.AskAsync("pcre:{{/^(xx)(yy)$/ [$1][$2]}, {/^(a)?(b)$/ [$1][$2]}}", "b"));
    }

    private static string Rule(Random random, int number)
    {
        if (random.Next(4) == 0)
        {
            return random.Next(2) == 0 ? $"2001:db8:{random.Next(4)}::/48 r{number}" : $"2001:db8:{random.Next(4)}::{random.Next(8)} r{number}";
        }

        return random.Next(3) switch
        {
            0 => $"10.{random.Next(4)}.{random.Next(4)}.0/24 r{number}",
            1 => $"10.{random.Next(4)}.{random.Next(4)}.{random.Next(256)} r{number}",
            _ => $"10.{random.Next(4)}.{random.Next(4)}.{random.Next(16) * 16}/28 r{number}",
        };
    }

    private static string Text(Random random, int pieces) => string.Concat(Enumerable.Range(0, random.Next(1, pieces)).Select(_ => Pieces[random.Next(Pieces.Length)]));
}
