namespace Postwright.Core.Configuration.Check;

/// <summary>
/// What <c>postfix check</c> says of a configuration as a whole: how many of its settings are obeyed, and which are not. One
/// that comes to the same as the default counts as obeyed.
/// </summary>
public static class SupportSummary
{
    /// <summary>Lines to show; none if every setting is obeyed.</summary>
    public static IReadOnlyList<string> Of(MailConfiguration configuration)
    {
        var obeyed = new SortedSet<string>(StringComparer.Ordinal);
        var inert = new SortedSet<string>(StringComparer.Ordinal);
        var missing = new SortedSet<string>(StringComparer.Ordinal);
        foreach (CheckScope scope in CheckScope.All(configuration))
        {
            foreach (Setting setting in scope.Settings)
            {
                if (ParameterTable.Find(setting.Name) is { } row)
                {
                    (row.Support == ParameterSupport.NoEffect ? inert
                        : row.Support == ParameterSupport.Implemented || SupportCheck.IsInert(scope.Configuration, row, setting.Value) ? obeyed
                        : missing).Add(setting.Name);
                }
            }
        }

        obeyed.ExceptWith(missing);
        if (inert.Count + missing.Count == 0)
        {
            return [];
        }

        List<string> lines = [$"{configuration.ConfigDirectory}: of {obeyed.Count + inert.Count + missing.Count} parameters that are set, {obeyed.Count} are obeyed"];
        if (inert.Count > 0)
        {
            lines.Add($"no effect, since there is nothing here that they describe: {string.Join(' ', inert)}");
        }

        if (missing.Count > 0)
        {
            lines.Add($"not implemented: {string.Join(' ', missing)}");
        }

        return lines;
    }
}
