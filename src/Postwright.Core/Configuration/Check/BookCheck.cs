namespace Postwright.Core.Configuration.Check;

/// <summary>
/// What a well-known textbook teaches and Postfix does not do, found in the tables' sources: REJECT in a table inside mynetworks,
/// address prefixes with a trailing dot, <c>.domain</c> keys. Each has a parameter of ours that makes it work; without it, the
/// line is pointed out.
/// </summary>
internal static class BookCheck
{
    /// <summary>More of the same says nothing new.</summary>
    private const int LinesPerFile = 20;

    public static void Run(MailConfiguration configuration, CheckReport report)
    {
        IReadOnlyList<string> parents = configuration.GetList("parent_domain_matches_subdomains");
        bool tableAccess = configuration.GetBool("mynetworks_table_access");
        foreach (TableReference table in TableReference.In(configuration.GetList("mynetworks")).Where(t => t.HasKeys).Distinct())
        {
            if (tableAccess)
            {
                CheckAccess(table, configuration, parents.Contains("smtpd_access_maps"), report);
            }
            else
            {
                CheckTrust(table, parents.Contains("mynetworks"), report);
            }
        }

        foreach (TableReference table in AccessTables(configuration).Where(t => t.HasKeys).Distinct())
        {
            CheckAccess(table, configuration, parents.Contains("smtpd_access_maps"), report);
        }
    }

    private static IEnumerable<TableReference> AccessTables(MailConfiguration configuration)
        => RestrictionCheck.Lists.Where(name => name != "smtpd_etrn_restrictions")
            .SelectMany(name => configuration.GetList(name).Concat(configuration.Services.SelectMany(
                service => service.Overrides.Where(o => o.Key == name).SelectMany(o => ConfigurationList.Split(o.Value)))))
            .Concat(configuration.GetList("smtpd_restriction_classes").SelectMany(c => ConfigurationList.Split(configuration.GetUserDefined(c) ?? "")))
            .SelectMany(word => TableReference.In([word]));

    private static void CheckTrust(TableReference table, bool parentsMatchBare, CheckReport report)
    {
        int found = 0;
        foreach ((string key, string value, int line) in Lines(table.Name))
        {
            string? trouble =
                Refuses(value) ? $"{key} {value}: {table} is inside mynetworks, where any value means that the client is trusted and may relay; remove the line, or set mynetworks_table_access = yes so that REJECT refuses"
                : IsAddressPrefix(key) ? $"{key}: inside mynetworks whole addresses are looked up, and this prefix never matches; write the network into mynetworks, or set mynetworks_table_access = yes"
                : key.StartsWith('.') && parentsMatchBare ? $"{key}: this never matches inside mynetworks; write {key[1..]}, or set mynetworks_table_access = yes and access_leading_dot = yes"
                : null;
            if (trouble is not null && ++found <= LinesPerFile)
            {
                report.Warn(table.Name, line, trouble);
            }
        }
    }

    private static void CheckAccess(TableReference table, MailConfiguration configuration, bool parentsMatchBare, CheckReport report)
    {
        bool trailing = configuration.GetBool("access_trailing_dot");
        bool leading = configuration.GetBool("access_leading_dot");
        int found = 0;
        foreach ((string key, _, int line) in Lines(table.Name))
        {
            string? trouble =
                !trailing && key.EndsWith('.') && IsAddressPrefix(key) ? $"{key}: an address prefix with a trailing dot never matches; write {key[..^1]}, or set access_trailing_dot = yes"
                : !leading && parentsMatchBare && key.Length > 1 && key[0] == '.' ? $"{key}: this never matches while parent_domain_matches_subdomains contains smtpd_access_maps; write {key[1..]}, or set access_leading_dot = yes"
                : null;
            if (trouble is not null && ++found <= LinesPerFile)
            {
                report.Warn(table.Name, line, trouble);
            }
        }
    }

    private static bool Refuses(string value)
    {
        string word = value.Split([' ', '\t'], 2)[0];
        return word.Equals("REJECT", StringComparison.OrdinalIgnoreCase) || word.Equals("DEFER", StringComparison.OrdinalIgnoreCase)
            || word.Equals("DISCARD", StringComparison.OrdinalIgnoreCase)
            || (word.Length == 3 && word[0] is '4' or '5' && word.All(char.IsAsciiDigit));
    }

    /// <summary>One to three numbers with dots between, and perhaps one behind.</summary>
    private static bool IsAddressPrefix(string key)
    {
        string[] parts = key.TrimEnd('.').Split('.');
        return parts.Length is >= 1 and <= 3 && (parts.Length > 1 || key.EndsWith('.'))
            && parts.All(p => p.Length is > 0 and <= 3 && p.All(char.IsAsciiDigit));
    }

    private static IEnumerable<(string Key, string Value, int Line)> Lines(string path)
    {
        if (ConfigurationFile.Read(path, out string text) is not null)
        {
            // That it cannot be read is told elsewhere.
            yield break;
        }

        foreach (LogicalLine line in ConfigurationText.LogicalLines(text))
        {
            string[] words = line.Text.Trim().Split([' ', '\t'], 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (words.Length == 2)
            {
                yield return (words[0], words[1], line.Line);
            }
        }
    }
}
