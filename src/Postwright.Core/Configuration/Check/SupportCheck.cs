namespace Postwright.Core.Configuration.Check;

/// <summary>
/// What is set and not implemented yet. A value that comes to the same as the default, or that the row lists as inert, is no
/// finding; so a configuration that only writes defaults down starts.
/// </summary>
internal static class SupportCheck
{
    public static void Run(CheckScope scope, CheckReport report)
    {
        IReadOnlyList<string> ignored = scope.Configuration.GetList("postwright_ignore_unimplemented");
        foreach (Setting setting in scope.Settings)
        {
            ParameterDefinition? row = ParameterTable.Find(setting.Name);
            if (row is null || row.Support is ParameterSupport.Implemented or ParameterSupport.NoEffect
                || IsInert(scope.Configuration, row, setting.Value))
            {
                continue;
            }

            if (row.Support == ParameterSupport.Warn)
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name} is not implemented yet and has no effect");
            }
            else if (ignored.Contains(setting.Name))
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name} is not implemented yet and has no effect, which postwright_ignore_unimplemented accepts");
            }
            else
            {
                report.Add(FindingSeverity.Error, setting.File, setting.Line,
                    $"{setting.Name} is not implemented yet, and mail would pass without it ({row.Summary.TrimEnd('.')}); remove the setting, or accept this with postwright_ignore_unimplemented = {setting.Name}");
            }
        }
    }

    internal static bool IsInert(MailConfiguration configuration, ParameterDefinition row, string value)
    {
        string actual = Canonical(row, row.Kind == ParameterKind.Raw ? value : configuration.Expand(value, row.Name));
        string standard = Canonical(row, row.Kind == ParameterKind.Raw ? row.Default : configuration.Expand(configuration.DefaultOf(row), row.Name));
        return actual == standard || row.Inert.Contains(actual);
    }

    private static string Canonical(ParameterDefinition row, string text) => row.Kind switch
    {
        ParameterKind.List => string.Join(' ', ConfigurationList.Split(text)),
        ParameterKind.Bool => text.ToLowerInvariant(),
        ParameterKind.Time => TimeValue.TryParse(text, row.Unit, out TimeSpan time) ? time.ToString() : text,
        ParameterKind.Int or ParameterKind.Long => long.TryParse(text, out long number) ? number.ToString(System.Globalization.CultureInfo.InvariantCulture) : text,
        _ => text,
    };
}
