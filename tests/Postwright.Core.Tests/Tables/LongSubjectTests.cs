using System.Text;
using Postwright.Core.Tables.Patterns;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

/// <summary>regexp tables and texts that the C library's matcher is not given: they match as they do for Postfix, within limits.</summary>
public sealed class LongSubjectTests
{
    // Not \` and \', which the C library matches in the middle of a text when another anchor stands beside them.
    private static readonly string[] Pieces =
    [
        "a", "b", "A", "1", "_", " ", "-", ".", "*", "+", "?", "|", "(", ")", "()", "(a", "b)", "^", "$", "[ab]", "[^a]", "[a-c1]", "[]a]", "[^]a]", "[a-]", "[\\d]",
        "[[:alpha:]]", "[^[:space:]_]", "[[.-.]a]", "[[=a=]]", "{2}", "{1,2}", "{,2}", "{0,}", "\\(", "\\)", "\\{2\\}", "\\|", "\\+", "\\?", "\\w", "\\W", "\\s", "\\S", "\\b", "\\B",
        "\\<", "\\>", "\\.", "\\d", "\\-", "\\*", "\\^", "\\$", "\\[", "\\]", "\\/", "]", "}", "#", "\u00e9", "a*", "(b|a1)", "(a*)*",
    ];

    [Theory]
    [InlineData("/subject: .*cheap (pills)/", "x\nSubject: {long} cheap pills", "pills")]
    [InlineData("/^([a-z]+)-x$/", "{long}-x", "{long}")]
    [InlineData("/(a)\\1x/", "{long}aax", "a")]
    [InlineData("/\\<(last)\\>/", "{long} last", "last")]
    [InlineData("/^\\(a*\\)x$/x", "{long}x", "{long}")]
    public async Task A_long_text_matches_as_it_does_for_postfix(string pattern, string text, string group)
    {
        using var bench = new TableBench();
        string path = bench.Write("rules", pattern + " found $1\n");
        string key = text.Replace("{long}", new string('a', 50_000), StringComparison.Ordinal);
        string expected = "found " + group.Replace("{long}", new string('a', 50_000), StringComparison.Ordinal);
        Assert.Equal("=" + expected, await bench.AskAsync($"regexp:{path}", key));
        Assert.Equal("-", await bench.AskAsync($"regexp:{path}", new string('b', 50_000)));
        string oneLine = key.Replace("\n", " ", StringComparison.Ordinal);
        Assert.Equal(oneLine + "\t" + expected + "\n", bench.Postfix("postmap", oneLine + "\n", "-q", "-", $"regexp:{path}").Out);
        Assert.Empty(bench.LogLines);
    }

    [Theory]
    [InlineData("/^(a+)+$/", 60)]
    [InlineData("/(a*)*(a*)*\\1b/", 2_000)]
    [InlineData("/a.*b.*c/", 100_000)]
    [InlineData("/(a*)*c/", 100_000)]
    [InlineData("/(a|aa)+(a|aa)+$/", 100_000)]
    [InlineData("/((a*)(a*))*b/", 2_048)]
    public async Task No_pattern_runs_for_ever(string pattern, int length)
    {
        // Without limits these take hours; the bound is the run's own.
        using var bench = new TableBench();
        string path = bench.Write("rules", "# a comment\n" + pattern + " found\n");
        string answer = await bench.AskAsync($"regexp:{path}", new string('a', length) + "x").WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        Assert.NotEqual("=found", answer);
        if (answer == "!")
        {
            Assert.StartsWith($"warning: regexp map {path}, line 2: ", Assert.Single(bench.LogLines), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Random_patterns_match_the_same_texts_with_both_matchers()
    {
        var engine = new RegexpEngine(2_048);
        var time = new FuzzTime(20_000);
        int compared = 0;
        int matched = 0;
        int[] spans = new int[2];
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            string pattern = string.Concat(Enumerable.Range(0, random.Next(1, 7)).Select(_ => Pieces[random.Next(Pieces.Length)]));
            uint options = engine.DefaultOptions;
            foreach (char letter in "imx")
            {
                _ = random.Next(3) != 0 || engine.TryOption(letter, ref options);
            }

            if (RegexpEngine.HasBackReference(pattern) || engine.Compile(pattern, options, out _) is not { } ours)
            {
                continue;
            }

            IPattern? limited = RegexpEngine.CompileLimited(pattern, options, out string? error);
            Assert.True(limited is not null, $"seed {seed}: {pattern} ({options}): {error}");
            Assert.Equal(ours.Groups, limited.Groups);
            // Where lines do not count by themselves, the C library takes $ before a newline for the end if more is to follow.
            bool lines = (options & RegexpEngine.NewLine) != 0;
            for (int i = 0; i < 8; i++)
            {
                string text = string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => "aabbA1_ -.]d}\u00e9\n"[random.Next(lines ? 15 : 14)]));
                PatternOutcome theirs = ours.Match(Encoding.UTF8.GetBytes(text), spans, out _);
                PatternOutcome other = limited.Match(Encoding.UTF8.GetBytes(text), spans, out _);
                Assert.True(theirs == other, $"seed {seed}: {pattern} ({options}) on \"{text}\": {theirs}, {other}");
                compared++;
                matched += theirs == PatternOutcome.Match ? 1 : 0;
            }
        }

        Assert.InRange(matched, 1, compared - 1);
    }
}
