using System.Text;
using Postwright.Core.Configuration;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Makes docs/parameters.md from the table's rows.</summary>
internal static class ParameterPage
{
    public static string Make()
    {
        var page = new StringBuilder("""
            # Parameters of main.cf

            Every parameter that Postwright knows, made from its table of parameters
            (`src/Postwright.Core/Configuration/Parameters/parameters.tsv`); a test compares this page with it.
            Names, meaning and defaults are Postfix's, and `man 5 postconf` of Postfix tells more of each.

            Start reads every setting. What is set and not implemented yet is treated as the last column says:

            | word | what start does |
            |---|---|
            | implemented | obeys it |
            | refuse | stops and names it, since mail would pass unfiltered, in the clear, or to the wrong place; `postwright_ignore_unimplemented = NAME` accepts that |
            | warn | goes on and says that it has no effect |
            | no effect | goes on; it describes how Postfix's own programs are built or talk to each other |

            A value that comes to the same as the default is never refused. Times take s, m, h, d or w; the unit of a bare number is given.

            """);
        Section(page, "Postwright's own", ParameterScope.Ours);
        Section(page, "Postfix's", ParameterScope.Builtin);
        Section(page, "For one transport",
            ParameterScope.Template, "\nThe word `transport` stands for the name of any delivery service in master.cf, such as `smtp_destination_rate_delay`.\n");
        Section(page, "Older names that still count", ParameterScope.Legacy);
        return page.ToString();
    }

    private static void Section(StringBuilder page, string title, ParameterScope scope, string about = "")
    {
        page.Append($"\n## {title}\n{about}\n| parameter | default | value | what it is | status |\n|---|---|---|---|---|\n");
        foreach (ParameterDefinition row in ParameterTable.All.Where(row => row.Scope == scope))
        {
            string value = row.IsDerived ? "(found on the machine)" : row.Default.Length == 0 ? "" : $"`{Escape(row.Default)}`";
            page.Append($"| `{row.Name}` | {value} | {Kind(row)} | {Escape(row.Summary)} | {Status(row)} |\n");
        }
    }

    private static string Kind(ParameterDefinition row) => row.Kind switch
    {
        ParameterKind.Bool => "yes, no",
        ParameterKind.Int or ParameterKind.Long => $"number{Limits(row)}",
        ParameterKind.Time => $"time ({row.Unit}){Limits(row)}",
        ParameterKind.TimeList => $"times ({row.Unit})",
        ParameterKind.List => "list",
        ParameterKind.Raw => "text, expanded when used",
        _ => "text",
    };

    private static string Limits(ParameterDefinition row)
        => row.Maximum < int.MaxValue ? $", {row.Minimum} to {row.Maximum}" : row.Minimum > 0 ? $", from {row.Minimum}" : "";

    private static string Status(ParameterDefinition row)
    {
        string word = row.Support == ParameterSupport.NoEffect ? "no effect" : row.Support.ToString().ToLowerInvariant();
        return row.Inert.Count == 0 ? word : $"{word} (but for {string.Join(", ", row.Inert.Select(v => $"`{v}`"))})";
    }

    private static string Escape(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("`", "'", StringComparison.Ordinal);
}
