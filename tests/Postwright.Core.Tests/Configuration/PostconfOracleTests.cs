using System.Collections.Concurrent;
using System.Text;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>
/// The command lines of <c>tests/postconf/lines</c> against Postfix's own postconf: standard output, what is said on standard
/// error, the exit status, and every byte of the two files. Differences of parameters due to version stand in <c>tests/oracle-differences</c>
/// (<c>area, key, reason</c>, separated by tabs; here area is <c>postconf</c> and key a parameter's name); an entry that is not
/// needed fails.
/// </summary>
public sealed class PostconfOracleTests
{
    private static readonly string Folder = Path.Combine(TestPrograms.ProjectRoot, "tests/postconf");

    /// <summary>Side by side, since Postfix sleeps a second before each fatal error.</summary>
    [Fact]
    public async Task A_command_line_does_what_Postfixs_does()
    {
        Assert.SkipUnless(PostconfHarness.HasOracle, "Postfix is not installed");
        string[][] lines = [.. File.ReadLines(Path.Combine(Folder, "lines"))
            .Where(line => line.Length > 0 && !line.StartsWith("# ", StringComparison.Ordinal))
            .Select(line => line.Split('\t'))];
        Assert.True(lines.Count(line => line[0][0] != '!') >= 300);
        var differences = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(lines, new ParallelOptions { MaxDegreeOfParallelism = 32 }, (line, _) =>
        {
            bool differs = line[0].StartsWith('!');
            string[] found = [.. Compare(line[0].TrimStart('!'), [.. line[1..].Select(a => a.Replace("\\n", "\n", StringComparison.Ordinal))])];
            if (differs != found.Length > 0)
            {
                differences.Enqueue($"{string.Join(' ', line)}: {(differs ? "needs no mark" : string.Join("; ", found))}");
            }

            return ValueTask.CompletedTask;
        });
        Assert.True(differences.IsEmpty, string.Join('\n', differences));
    }

    [Fact]
    public void Every_parameter_and_default_is_Postfixs_but_for_the_listed_differences()
    {
        Assert.SkipUnless(PostconfHarness.HasOracle, "Postfix is not installed");
        string folder = Copy("basic");
        try
        {
            HashSet<string> listed = [.. Listed()];
            var needed = new HashSet<string>();
            Dictionary<string, string> ours = Settings(PostconfHarness.Ours("postconf", "-c", folder, "-d").Output);
            Dictionary<string, string> theirs = Settings(PostconfHarness.Theirs(folder, "-c", folder, "-d").Output);
            foreach (string name in ours.Keys.Union(theirs.Keys).Where(n => n != "process_id"))
            {
                if (ours.GetValueOrDefault(name) != theirs.GetValueOrDefault(name))
                {
                    needed.Add(name);
                }
            }

            Assert.Equal("", string.Join('\n', needed.Except(listed).Order(StringComparer.Ordinal)
                .Select(n => $"{n}: {theirs.GetValueOrDefault(n, "(none)")} | {ours.GetValueOrDefault(n, "(none)")}")));
            Assert.Equal("", string.Join('\n', listed.Except(needed).Order(StringComparer.Ordinal).Select(n => $"{n} needs no entry")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<string> Compare(string configuration, string[] arguments)
    {
        string ours = Copy(configuration);
        string theirs = Copy(configuration);
        try
        {
            string[] In(string folder) => ["-c", folder, .. arguments.Select(a => a.StartsWith("DIR/", StringComparison.Ordinal) ? folder + a[3..] : a)];
            PostconfHarness.Result actual = PostconfHarness.Ours(PostconfHarness.Oracle, In(ours));
            PostconfHarness.Result expected = PostconfHarness.Theirs(theirs, In(theirs));

            return [
                .. Differences("output", Lines(expected.Output, theirs), Lines(actual.Output, ours)),
                .. Differences("exit code", [$"{expected.ExitCode}"], [$"{actual.ExitCode}"]),
                .. Differences("errors", Warnings(expected.Errors, theirs), Warnings(actual.Errors, ours)),
                .. Differences("main.cf", Content(theirs, "main.cf"), Content(ours, "main.cf")),
                .. Differences("master.cf", Content(theirs, "master.cf"), Content(ours, "master.cf")),
            ];
        }
        finally
        {
            Directory.Delete(ours, recursive: true);
            Directory.Delete(theirs, recursive: true);
        }
    }

    /// <summary>Every byte of a file, so that line ends count too.</summary>
    private static string[] Content(string folder, string file)
        => File.Exists(Path.Combine(folder, file)) ? Encoding.Latin1.GetString(File.ReadAllBytes(Path.Combine(folder, file))).Split('\n') : [];

    private static IEnumerable<string> Differences(string what, IEnumerable<string> expected, IEnumerable<string> actual)
    {
        string[] wanted = [.. expected];
        string[] found = [.. actual];
        for (int i = 0; i < Math.Max(wanted.Length, found.Length); i++)
        {
            string want = i < wanted.Length ? wanted[i] : "(nothing)";
            string got = i < found.Length ? found[i] : "(nothing)";
            if (want != got)
            {
                yield return $"{what}, line {i + 1}: expected {want}, got {got}";
                yield break;
            }
        }
    }

    private static string Copy(string configuration)
    {
        string folder = PostconfHarness.TemporaryFolder();
        foreach (string file in Directory.GetFiles(Path.Combine(Folder, configuration)))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    private static string[] Lines(string output, string folder) => output.Replace(folder, "DIR", StringComparison.Ordinal).Split('\n');

    /// <summary>
    /// Postfix's order is that of a hash table with a random seed, and it says some things twice: what is said counts. The
    /// usage text names further options of this version, and deprecated names are warned of since 3.9.
    /// </summary>
    private static IEnumerable<string> Warnings(string errors, string folder)
        => errors.Replace(folder, "DIR", StringComparison.Ordinal).Split('\n')
            .Where(line => line.Length > 0 && !line.Contains("\" will be removed; ", StringComparison.Ordinal) && !line.Contains("DEPRECATION_README", StringComparison.Ordinal))
            .Select(line => line.Contains("fatal: usage:", StringComparison.Ordinal) ? "usage" : line)
            .Distinct().Order(StringComparer.Ordinal);

    private static Dictionary<string, string> Settings(string output)
        => output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(" =", 2))
            .ToDictionary(pair => pair[0], pair => pair[1].Trim(), StringComparer.Ordinal);

    private static IEnumerable<string> Listed()
        => File.ReadLines(Path.Combine(TestPrograms.ProjectRoot, "tests/oracle-differences"))
            .Select(line => line.Split('\t'))
            .Where(cells => cells is ["postconf", _, _])
            .Select(cells => cells[1]);
}
