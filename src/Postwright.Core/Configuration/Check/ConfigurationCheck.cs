namespace Postwright.Core.Configuration.Check;

/// <summary>
/// Everything that <c>postfix check</c> and start say about main.cf, master.cf and the tables' sources, at once: syntax, unknown
/// names, values that cannot be read, what is set but not implemented (start refuses what filters, authenticates, encrypts or
/// redirects mail, unless postwright_ignore_unimplemented names it), services that cannot run, restrictions, tables, and
/// settings that do not do what their author seems to expect. It reads files and asks nobody; it changes nothing and throws
/// nothing. Owners and modes of directories are not its affair.
/// </summary>
public static class ConfigurationCheck
{
    /// <summary>All findings: errors first, then by file and line.</summary>
    public static IReadOnlyList<ConfigurationFinding> Run(MailConfiguration configuration)
    {
        var report = new CheckReport(configuration);
        ParameterUsage usage = ParameterUsage.Of(configuration);
        CheckNames(configuration, usage, report);
        foreach (CheckScope scope in CheckScope.All(configuration))
        {
            ValueCheck.Run(scope, report);
            SupportCheck.Run(scope, report);
            RestrictionCheck.Run(scope, report);
            TableCheck.Run(scope, report);
        }

        ServiceCheck.Run(configuration, report);
        BookCheck.Run(configuration, report);
        BounceCheck.Run(configuration, report);

        // Reading it finds out whether the file is there that it may name.
        _ = configuration.GetString("myorigin");

        // Last: reading values above adds to the configuration's own list.
        foreach (ConfigurationError error in configuration.Errors)
        {
            report.Add(error.IsFatal ? FindingSeverity.Error : FindingSeverity.Warning, error.File, error.Line, error.Text);
        }

        return report.Sorted();
    }

    private static void CheckNames(MailConfiguration configuration, ParameterUsage usage, CheckReport report)
    {
        foreach (Setting setting in usage.UnusedMain)
        {
            string? near = Spelling.Nearest(setting.Name);
            report.Warn(setting.File, setting.Line, $"unused parameter: {setting.Name}={setting.Value}{(near is null ? "" : $"; did you mean {near}?")}");
        }

        foreach ((MasterService service, KeyValuePair<string, string> setting) in usage.UnusedMaster)
        {
            string? near = Spelling.Nearest(setting.Key);
            report.Warn(service.File, service.Line, $"unused parameter: {setting.Key}={setting.Value}{(near is null ? "" : $"; did you mean {near}?")}");
        }

        foreach ((string file, string name) in usage.Undefined)
        {
            int line = configuration.Settings.FirstOrDefault(s => s.File == file && MacroReferences.In(s.Value).Contains(name))?.Line ?? 0;
            report.Warn(file, line, $"undefined parameter: {name}; it counts as empty");
        }

        foreach (string warning in usage.ClientWarnings)
        {
            report.Warn(ConfigurationFile.In(configuration.ConfigDirectory, "main.cf"), 0, warning);
        }

        foreach (string name in configuration.GetList("postwright_ignore_unimplemented"))
        {
            if (!usage.IsKnown(name))
            {
                report.Warn("postwright_ignore_unimplemented", $"postwright_ignore_unimplemented names {name}, which is no parameter");
            }
        }
    }
}
