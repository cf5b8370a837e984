using System.Globalization;
using System.Text;
using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

/// <summary>Files from which tables and lists are read: whose they are, what kind, how large; and how their keys are folded.</summary>
public sealed class TableSourceTests
{
    [Fact]
    public void The_owner_is_that_of_the_file_that_is_read_and_not_of_one_that_came_in_its_place()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root");
        string postmap = PostmapOracleTests.Ours("postmap");
        using var bench = new TableBench();
        (int status, string output, string error) = bench.Run(
            "/bin/bash",
            "",
            "-c",
            $"""
            mkdir d; chmod 755 .; mkfifo -m 600 d/m; echo o o >d/other; chown nobody d d/other
            timeout 60 {postmap} hash:d/m & exec 3>d/m
            mv d/other d/m; echo secret x >&3; exec 3>&-; wait $!; echo $?; stat -c %U d/m.db
            """);
        Assert.Equal((0, "0\nroot\n", ""), (status, output, error));
    }

    [Fact]
    public async Task A_pipe_that_nobody_writes_to_is_not_waited_for()
    {
        using var bench = new TableBench();
        Assert.Equal(0, bench.Run("/usr/bin/mkfifo", "", "p").Status);
        foreach (string table in (string[])["texthash", "cidr", "regexp", "pcre"])
        {
            Assert.Equal("!", await bench.AskAsync($"{table}:{bench["p"]}", "1.2.3.4").WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }

        MatchResult match = await StringList.Open(bench.Registry, "list", bench["p"]).MatchAsync("x", CancellationToken.None);
        Assert.Equal(MatchResult.TemporaryError, match);
        Assert.Contains(bench.LogLines, line => line.Contains($"open file {bench["p"]}: Is a pipe", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_without_an_end_is_a_temporary_error()
    {
        using var bench = new TableBench();
        foreach (string table in (string[])["texthash", "cidr", "pcre"])
        {
            Assert.Equal("!", await bench.AskAsync($"{table}:/dev/zero", "1.2.3.4"));
        }

        Assert.Equal("-", await bench.AskAsync("texthash:/dev/null", "x"));
        MatchResult match = await StringList.Open(bench.Registry, "list", "/dev/zero").MatchAsync("x", CancellationToken.None);
        Assert.Equal(MatchResult.TemporaryError, match);
        Assert.Contains(bench.LogLines, static line => line.Contains("open file /dev/zero: larger than", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_names_itself_ends()
    {
        using var bench = new TableBench();
        string path = bench["list"];
        bench.Write("list", $"x\n{path}\n{path}\n");
        var list = StringList.Open(bench.Registry, "list", path);
        Assert.Equal(MatchResult.Match, await list.MatchAsync("x", CancellationToken.None));
        Assert.Equal(MatchResult.TemporaryError, await list.MatchAsync("y", CancellationToken.None));
    }

    [Fact]
    public void A_tool_reads_what_a_command_writes()
    {
        using var bench = new TableBench();
        Assert.Equal((0, "x\n", ""), bench.Run("/bin/bash", "", "-c", $"{PostmapOracleTests.Ours("postmap")} -q 1.2.3.4 cidr:<(echo 1.2.3.4 x)"));
    }

    [Fact]
    public void Lines_are_the_same_however_they_are_cut()
    {
        string text = string.Concat(Enumerable.Range(0, 4000).Select(static i => $"k{i} {new string('v', i % 700)}\n{(i % 7 == 0 ? "  more\n" : "")}"))
            + "long " + new string('x', (1 << 20) + 70_000) + "\nlast y";
        var whole = LogicalLines.Read(new MemoryStream(Encoding.ASCII.GetBytes(text)), long.MaxValue).ToList();
        Assert.Equal(4002, whole.Count);
        Assert.Equal(new LogicalLine(4574, "last y"), whole[^1]);
        Assert.Equal(1 << 20, whole[^2].Text.Length);
        Assert.Equal("k7 vvvvvvv  more", whole[7].Text);
        Assert.Throws<IOException>(() => LogicalLines.Read(new MemoryStream(Encoding.ASCII.GetBytes(text)), text.Length - 1).Count());
        Assert.Equal(whole.Count, LogicalLines.Read(new MemoryStream(Encoding.ASCII.GetBytes(text)), text.Length).Count());
    }

    [Fact]
    public async Task Without_smtputf8_nothing_but_ascii_is_folded()
    {
        using var bench = new TableBench();
        string path = bench.Write("t", "\u00c9A x\n");
        using var plain = new TableRegistry(bench.Log, bench.Time, smtpUtf8: false);
        Assert.Equal("=x", await bench.AskAsync($"texthash:{path}", "\u00e9a"));
        Assert.False((await plain.Open($"texthash:{path}").LookupAsync("\u00e9a", CancellationToken.None)).IsFound);
        Assert.True((await plain.Open($"texthash:{path}").LookupAsync("\u00c9a", CancellationToken.None)).IsFound);
        Assert.Equal(MatchResult.NoMatch, await DomainList.Open(plain, "list", "\u00c9.example", false).MatchAsync("\u00e9.example", CancellationToken.None));
        Assert.Equal(MatchResult.Match, await DomainList.Open(bench.Registry, "list", "\u00c9.example", false).MatchAsync("\u00e9.EXAMPLE", CancellationToken.None));
    }

    [Fact]
    public void Every_character_folds_as_in_postfix()
    {
        using var bench = new TableBench();
        bench.Write("all", string.Concat(Enumerable.Range(0x80, 0x110000 - 0x80).Where(Rune.IsValid).Select(static c => $"{c:x}_{char.ConvertFromUtf32(c)} v\n")));
        Assert.Equal(0, bench.Postfix("postmap", "", "hash:all").Status);
        List<string> differences = [];
        int count = 0;
        foreach (string line in bench.Postfix("postmap", "", "-s", "hash:all").Out.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            count++;
            string[] parts = line.Split('\t')[0].Split('_', 2);
            int code = int.Parse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (!IsNewer(code) && TableText.Fold(char.ConvertFromUtf32(code), TableUse.Fold) != parts[1])
            {
                differences.Add(parts[0]);
            }
        }

        Assert.Equal(1_111_936, count);
        Assert.Empty(differences);
    }

    /// <summary>Letters of Unicode 16, which the ICU of Postfix 3.7's time does not know.</summary>
    private static bool IsNewer(int code) => code is (>= 0x10d50 and <= 0x10d65) or 0x1c89 or 0xa7cb or 0xa7cc or 0xa7da or 0xa7dc;
}
