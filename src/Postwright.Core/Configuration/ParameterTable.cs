using System.Globalization;
using System.Text;

namespace Postwright.Core.Configuration;

/// <summary>
/// Every parameter there is, one row each, read once from the embedded <c>parameters.tsv</c>: name, kind, scope, support,
/// limits, default, summary, separated by tabs. postconf, the checks at start, docs/parameters.md and
/// <see cref="MailConfiguration"/> all use these rows; a parameter is added by adding its row.
/// </summary>
public static class ParameterTable
{
    private const string TemplatePrefix = "transport_";

    private static readonly Lazy<Dictionary<string, ParameterDefinition>> Rows = new(Load);

    /// <summary>All rows, by name in ASCII order.</summary>
    public static IReadOnlyList<ParameterDefinition> All => Sorted.Value;

    private static readonly Lazy<ParameterDefinition[]> Sorted = new(() => [.. Rows.Value.Values.OrderBy(row => row.Name, StringComparer.Ordinal)]);

    /// <summary>
    /// The row of a name, or null. <c>NAME_destination_rate_delay</c> and the like exist for any transport NAME; their row is
    /// made from the template's.
    /// </summary>
    public static ParameterDefinition? Find(string name)
    {
        if (Rows.Value.TryGetValue(name, out ParameterDefinition? row))
        {
            return row.Scope == ParameterScope.Template ? null : row;
        }

        ParameterDefinition? template = FindTemplate(name, out _);
        return template is null ? null : template with { Name = name, Scope = ParameterScope.Transport };
    }

    /// <summary>The templates whose rows exist for every transport.</summary>
    public static IReadOnlyList<ParameterDefinition> Templates => TemplateRows.Value;

    private static readonly Lazy<ParameterDefinition[]> TemplateRows = new(() => [.. Rows.Value.Values.Where(row => row.Scope == ParameterScope.Template)]);

    /// <summary>A template's row for one transport; null where the name is another parameter's.</summary>
    internal static ParameterDefinition? Instance(ParameterDefinition template, string transport)
    {
        string name = transport + template.Name[(TemplatePrefix.Length - 1)..];
        return !Rows.Value.TryGetValue(name, out ParameterDefinition? row) ? template with { Name = name, Scope = ParameterScope.Transport }
            : row.Scope == ParameterScope.Transport ? row : null;
    }

    /// <summary>The template that a per-transport name is made from, and the transport's name.</summary>
    internal static ParameterDefinition? FindTemplate(string name, out string transport)
    {
        // A transport's name may hold underscores itself: the longest suffix that is a template's counts.
        for (int cut = name.IndexOf('_', StringComparison.Ordinal); cut >= 0; cut = name.IndexOf('_', cut + 1))
        {
            if (cut > 0 && Rows.Value.TryGetValue(TemplatePrefix + name[(cut + 1)..], out ParameterDefinition? row)
                && row.Scope == ParameterScope.Template)
            {
                transport = name[..cut];
                return row;
            }
        }

        transport = "";
        return null;
    }

    private static Dictionary<string, ParameterDefinition> Load()
    {
        using Stream stream = typeof(ParameterTable).Assembly.GetManifestResourceStream("parameters.tsv")
            ?? throw new InvalidOperationException("the parameter table is not in the assembly");
        using var reader = new StreamReader(stream, Encoding.UTF8, detectEncodingFromByteOrderMarks: false, (int)stream.Length + 1);
        string text = reader.ReadToEnd();
        var rows = new Dictionary<string, ParameterDefinition>(1200, StringComparer.Ordinal);
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (line.Length > 0 && line[0] != '#')
            {
                ParameterDefinition row = ReadRow(line);
                rows.Add(row.Name, row);
            }
        }

        return rows;
    }

    // Every program reads all rows at its start: spans, so that only what is kept is copied.
    private static ParameterDefinition ReadRow(ReadOnlySpan<char> line)
    {
        Span<Range> cells = stackalloc Range[8];
        if (line.Split(cells, '\t') != 7)
        {
            throw new FormatException($"a parameter row has not 7 cells: {line}");
        }

        ReadOnlySpan<char> kindName = line[cells[1]];
        char unit = 's';
        int colon = kindName.IndexOf(':');
        if (colon >= 0)
        {
            unit = kindName[colon + 1];
            kindName = kindName[..colon];
        }

        ParameterKind kind = kindName switch
        {
            "string" => ParameterKind.Text,
            "raw" => ParameterKind.Raw,
            "bool" => ParameterKind.Bool,
            "int" => ParameterKind.Int,
            "long" => ParameterKind.Long,
            "time" => ParameterKind.Time,
            "timelist" => ParameterKind.TimeList,
            "list" => ParameterKind.List,
            _ => throw new FormatException($"unknown kind in a parameter row: {line}"),
        };
        ParameterScope scope = line[cells[2]] switch
        {
            "builtin" => ParameterScope.Builtin,
            "legacy" => ParameterScope.Legacy,
            "template" => ParameterScope.Template,
            "transport" => ParameterScope.Transport,
            "ours" => ParameterScope.Ours,
            _ => throw new FormatException($"unknown scope in a parameter row: {line}"),
        };
        ReadOnlySpan<char> supportName = line[cells[3]];
        int inertAt = supportName.IndexOf(':');
        string[] inert = inertAt < 0 ? [] : supportName[(inertAt + 1)..].ToString().Split(',');
        ParameterSupport support = (inertAt < 0 ? supportName : supportName[..inertAt]) switch
        {
            "implemented" => ParameterSupport.Implemented,
            "refuse" => ParameterSupport.Refuse,
            "warn" => ParameterSupport.Warn,
            "noeffect" => ParameterSupport.NoEffect,
            _ => throw new FormatException($"unknown support in a parameter row: {line}"),
        };
        (long minimum, long maximum) = ReadLimits(line[cells[4]], kind);
        return new ParameterDefinition(
            line[cells[0]].ToString(), kind, unit, scope, support, inert, minimum, maximum, line[cells[5]].ToString(), line[cells[6]].ToString());
    }

    private static (long Minimum, long Maximum) ReadLimits(ReadOnlySpan<char> cell, ParameterKind kind)
    {
        long maximum = kind == ParameterKind.Long ? long.MaxValue : int.MaxValue;
        if (cell is "-")
        {
            return (0, maximum);
        }

        int dots = cell.IndexOf("..", StringComparison.Ordinal);
        long minimum = long.Parse(cell[..dots], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return (minimum, dots + 2 == cell.Length ? maximum : long.Parse(cell[(dots + 2)..], NumberStyles.None, CultureInfo.InvariantCulture));
    }
}
