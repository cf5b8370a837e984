using System.Text.RegularExpressions;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Postfix's own cases for postconf, and what 3.7.11 printed for configurations of real mail servers.</summary>
public sealed partial class PostconfVectorTests
{
    public static TheoryData<string> Cases => Folders("postfix-vectors/postconf");

    public static TheoryData<string> RealConfigurations => Folders("realworld-configs");

    private static TheoryData<string> Folders(string path)
        => TestPrograms.TestData is { } data
            ? [.. Directory.GetDirectories(Path.Combine(data, path)).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)]
            : ["absent"];

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_reference_case_prints_what_it_should(string name)
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "the reference vectors are not here");
        string folder = Path.Combine(TestPrograms.TestData!, "postfix-vectors/postconf", name);
        string[] options = File.ReadAllText(Path.Combine(folder, "options")).Trim().Replace("'", "", StringComparison.Ordinal).Split(' ');

        PostconfHarness.Result result = PostconfHarness.Ours("./postconf", [.. options.Select(o => o == "." ? folder : o)]);

        // The cases were run with -c . and their two streams merged and sorted in no fixed way.
        string[] actual = (result.Output + result.Errors).Replace(folder, ".", StringComparison.Ordinal).Split('\n');
        string[] expected = File.ReadAllLines(Path.Combine(folder, "expected"));
        Assert.Equal(expected.Order(StringComparer.Ordinal), actual.Where(l => l.Length > 0).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(RealConfigurations))]
    public void A_real_configuration_is_shown_as_Postfix_shows_it(string name)
    {
        Assert.SkipUnless(TestPrograms.TestData is not null, "the configurations are not here");
        string folder = Path.Combine(TestPrograms.TestData!, "realworld-configs", name);
        string oracle = Path.Combine(folder, "oracle-3.7.11");
        Assert.SkipUnless(Directory.Exists(oracle), "Postfix's output is not here");
        string source = new[] { "rendered", "orig", "." }.Select(d => Path.Combine(folder, d)).First(d => File.Exists(Path.Combine(d, "main.cf")));

        Compare(oracle, "postconf-n.txt", source, "-n");
        Compare(oracle, "postconf-Mf.txt", source, "-Mf");
        Compare(oracle, "postconf-P.txt", source, "-P");
        Compare(oracle, "postconf-nx.txt", source, "-nx");
    }

    private static void Compare(string oracle, string file, string source, string option)
    {
        string path = Path.Combine(oracle, file);
        if (!File.Exists(path))
        {
            return;
        }

        // The process number is part of an expanded debugger_command.
        string[] Without(string text) => [.. text.Split('\n').Where(l => !l.StartsWith("config_directory =", StringComparison.Ordinal))];
        string actual = PostconfHarness.Ours("postconf", "-c", source, option).Output;
        actual = actual.Replace(source, ".", StringComparison.Ordinal);
        Assert.Equal(Without(Number().Replace(File.ReadAllText(path), "postconf N ")), Without(Number().Replace(actual, "postconf N ")));
    }

    [GeneratedRegex("postconf [0-9]+ ")]
    private static partial Regex Number();
}
