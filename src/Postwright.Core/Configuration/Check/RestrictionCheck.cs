namespace Postwright.Core.Configuration.Check;

/// <summary>
/// The smtpd_*_restrictions lists and restriction classes: names that do not work, arguments that are missing, and lists that
/// would leave an open relay.
/// </summary>
internal static class RestrictionCheck
{
    public static readonly string[] Lists =
    [
        "smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", "smtpd_relay_restrictions",
        "smtpd_recipient_restrictions", "smtpd_data_restrictions", "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions",
    ];

    private static readonly string[] RelayStops = ["reject_unauth_destination", "defer_unauth_destination", "reject", "defer", "defer_if_permit"];

    public static void Run(CheckScope scope, CheckReport report)
    {
        var classes = new HashSet<string>(scope.Configuration.GetList("smtpd_restriction_classes"), StringComparer.OrdinalIgnoreCase);
        foreach (Setting setting in scope.Settings)
        {
            if (Lists.Contains(setting.Name) || classes.Contains(setting.Name))
            {
                CheckList(setting, ConfigurationList.Split(scope.Configuration.Expand(setting.Value, setting.Name)), classes, report);
            }
        }

        foreach (string name in scope.Configuration.GetList("smtpd_restriction_classes").Where(name => !scope.Configuration.IsSet(name)))
        {
            report.Warn("smtpd_restriction_classes", $"restriction class {name} is defined nowhere; write {name} = RESTRICTION, ...");
        }

        bool receives = scope.Service is null
            ? scope.Configuration.Services.Any(s => s.Command == "smtpd")
            : scope.Service.Command == "smtpd" && scope.Settings.Any(IsAboutRelaying);
        if (receives)
        {
            CheckRelaying(scope, classes, report);
        }
    }

    private static bool IsAboutRelaying(Setting setting)
        => setting.Name is "smtpd_relay_restrictions" or "smtpd_recipient_restrictions" or "compatibility_level";

    private static void CheckList(Setting setting, IReadOnlyList<string> words, HashSet<string> classes, CheckReport report)
    {
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            string name = word.StartsWith('{') ? ConfigurationList.Split(word.Trim('{', '}')).FirstOrDefault("") : word;
            if (classes.Contains(name) || (name.Contains(':', StringComparison.Ordinal) && !word.StartsWith('{')))
            {
                continue;
            }

            if (RestrictionNames.Missing.Contains(name))
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name}: {name} is not implemented yet; clients that reach it get 451 4.3.5 Server configuration error");
            }
            else if (RestrictionNames.Removed.Contains(name))
            {
                report.Warn(setting.File, setting.Line, $"{setting.Name}: {name} was removed from Postfix; clients that reach it get 451 4.3.5 Server configuration error");
            }
            else if (!RestrictionNames.Implemented.Contains(name))
            {
                string? near = Spelling.Nearest(name, RestrictionNames.Implemented);
                report.Warn(setting.File, setting.Line, $"{setting.Name}: unknown smtpd restriction: \"{name}\"{(near is null ? "" : $"; did you mean {near}?")} Clients that reach it get 451 4.3.5 Server configuration error");
            }

            if (RestrictionNames.TakesArgument(name) && !word.StartsWith('{'))
            {
                string argument = i + 1 < words.Count ? words[++i] : "";
                if (name.EndsWith("_access", StringComparison.OrdinalIgnoreCase) && !argument.Contains(':', StringComparison.Ordinal))
                {
                    report.Warn(setting.File, setting.Line, $"{setting.Name}: restriction {name}: bad argument \"{argument}\": need maptype:mapname");
                }
            }
        }
    }

    /// <summary>Postfix refuses to serve without one of these; a table or class may hold one and is not looked into.</summary>
    private static void CheckRelaying(CheckScope scope, HashSet<string> classes, CheckReport report)
    {
        IEnumerable<string> words = scope.Configuration.GetList("smtpd_relay_restrictions")
            .Concat(scope.Configuration.GetList("smtpd_recipient_restrictions"));
        if (!words.Any(word => RelayStops.Contains(word, StringComparer.OrdinalIgnoreCase) || classes.Contains(word)))
        {
            Setting? at = scope.Settings.FirstOrDefault(IsAboutRelaying);
            report.Add(FindingSeverity.Error, at?.File ?? ConfigurationFile.In(scope.Configuration.ConfigDirectory, "main.cf"), at?.Line ?? 0,
                $"in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: {string.Join(", ", RelayStops[..^1])} or {RelayStops[^1]}; or set compatibility_level = 3.6, whose defaults have one");
        }
    }
}
