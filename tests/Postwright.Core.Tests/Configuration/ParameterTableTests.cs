using System.Text;
using System.Text.RegularExpressions;
using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Check;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>The parameter table against itself, against the sources, and against the page made from it.</summary>
public sealed partial class ParameterTableTests
{
    [Fact]
    public void Every_row_has_a_summary_and_a_default_that_can_be_read()
    {
        MailConfiguration configuration = MailConfiguration.FromText("", null, PostconfHarness.Somewhere);
        foreach (ParameterDefinition row in ParameterTable.All.Where(row => row.Scope != ParameterScope.Template && row.Kind != ParameterKind.Raw))
        {
            Assert.True(row.Summary.Length is > 5 and < 120 && row.Summary.EndsWith('.'), row.Name);
            if (row.Scope != ParameterScope.Legacy || row.Default.Length > 0)
            {
                Assert.Null(MailConfiguration.Explain(row, configuration.Expand(configuration.DefaultOf(row), row.Name)));
            }

            Assert.Null(AllowedValues.Explain(row.Name, configuration.Expand(configuration.DefaultOf(row), row.Name)));
        }

        Assert.Empty(configuration.Errors);
        Assert.True(ParameterTable.All.Count >= 958);
    }

    [Fact]
    public void The_defaults_alone_are_a_configuration_without_findings()
    {
        var main = new StringBuilder("compatibility_level = 3.6\n");
        foreach (ParameterDefinition row in ParameterTable.All.Where(row => row.Scope is ParameterScope.Builtin or ParameterScope.Ours && row.Name != "compatibility_level"))
        {
            string value = row.IsDerived ? "" : row.Default;
            main.Append(row.IsDerived ? "" : $"{row.Name} = {value}\n");
        }

        Assert.Equal([], ConfigurationCheck.Run(MailConfiguration.FromText(main.ToString(), null, PostconfHarness.Somewhere))
            .Where(f => !f.Text.Contains("open ", StringComparison.Ordinal) && !f.Text.Contains("unsupported dictionary type", StringComparison.Ordinal)).Select(f => f.ToString()));
    }

    [Fact]
    public void Every_parameter_that_the_sources_read_is_in_the_table()
    {
        foreach (Match read in ReadPattern().Matches(Sources.Value))
        {
            Assert.True(ParameterTable.Find(read.Groups[1].Value) is not null, $"{read.Groups[1].Value} is read and is in no row");
        }
    }

    [Fact]
    public void Every_row_that_says_implemented_is_read_somewhere()
    {
        string defaults = string.Join('\n', ParameterTable.All.Select(row => row.Default));
        var unread = ParameterTable.All
            .Where(row => row.Support == ParameterSupport.Implemented)
            .Where(row => !Sources.Value.Contains($"\"{row.Name}\"", StringComparison.Ordinal)
                && !Sources.Value.Contains($"\"{Suffix(row)}\"", StringComparison.Ordinal)
                && !Regex.IsMatch(defaults, $@"\$\{{?{row.Name}\b"))
            .Select(row => row.Name);

        Assert.Equal("", string.Join(' ', unread));
    }

    [Fact]
    public void The_check_knows_the_restrictions_that_the_server_knows()
    {
        string source = File.ReadAllText(Path.Combine(TestPrograms.ProjectRoot, "src/Postwright.Server/Receive/Smtpd/Restrictions/RestrictionReader.cs"));
        IEnumerable<string> served = RestrictionPattern().Matches(source).Select(m => m.Groups[1].Value);

        Assert.Equal(served.Order(StringComparer.Ordinal), RestrictionNames.Implemented.Order(StringComparer.Ordinal));
        Assert.Empty(RestrictionNames.Implemented.Intersect(RestrictionNames.Missing));
    }

    [Fact]
    public void The_page_of_parameters_is_the_one_made_from_the_table()
    {
        string path = Path.Combine(TestPrograms.ProjectRoot, "docs/parameters.md");
        string page = ParameterPage.Make();
        if (Environment.GetEnvironmentVariable("POSTWRIGHT_WRITE_DOCS") is "1")
        {
            File.WriteAllText(path, page);
        }

        Assert.True(File.ReadAllText(path) == page, "docs/parameters.md is not what the table says; run this test with POSTWRIGHT_WRITE_DOCS=1");
    }

    /// <summary>The client reads smtp_X or lmtp_X as a prefix and <c>X</c>; the scheduler reads a transport's name and <c>_X</c>.</summary>
    private static string Suffix(ParameterDefinition row)
    {
        int first = row.Name.IndexOf('_', StringComparison.Ordinal);
        return row.Scope is ParameterScope.Transport or ParameterScope.Template || row.Name.Contains("_destination_", StringComparison.Ordinal) ? row.Name[first..]
            : row.Name.StartsWith("smtp_", StringComparison.Ordinal) || row.Name.StartsWith("lmtp_", StringComparison.Ordinal) ? row.Name[(first + 1)..]
            : row.Name;
    }

    private static readonly Lazy<string> Sources = new(() =>
    {
        var text = new StringBuilder();
        foreach (string file in Directory.EnumerateFiles(Path.Combine(TestPrograms.ProjectRoot, "src"), "*.cs", SearchOption.AllDirectories))
        {
            if (!file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            {
                text.Append(File.ReadAllText(file));
            }
        }

        return text.ToString();
    });

    [GeneratedRegex("""\.Get(?:String|Bool|Int|Long|Time|Times|List|Unexpanded)\(\s*"([A-Za-z0-9_]+)"\)""")]
    private static partial Regex ReadPattern();

    [GeneratedRegex("""\["([a-z_]+)"\] = RestrictionKind\.""")]
    private static partial Regex RestrictionPattern();
}
