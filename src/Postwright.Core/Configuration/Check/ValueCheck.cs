namespace Postwright.Core.Configuration.Check;

/// <summary>Reads every value that is set, as its row says; and values that are wrong only beside each other.</summary>
internal static class ValueCheck
{
    private static readonly string[] NeverEmpty =
        ["myhostname", "mydomain", "myorigin", "mail_owner", "setgid_group", "queue_directory", "data_directory", "daemon_directory", "command_directory"];

    public static void Run(CheckScope scope, CheckReport report)
    {
        foreach (Setting setting in scope.Settings)
        {
            if (ParameterTable.Find(setting.Name) is not { } row || row.Kind == ParameterKind.Raw)
            {
                continue;
            }

            string text = scope.Configuration.Expand(setting.Value, setting.Name);
            string? trouble = MailConfiguration.Explain(row, text) ?? AllowedValues.Explain(row.Name, text);
            if (trouble is null && text.Length == 0 && NeverEmpty.Contains(row.Name))
            {
                trouble = $"{row.Name} is empty; give it a value, or remove the line so that the default counts";
            }

            if (trouble is not null)
            {
                report.Add(FindingSeverity.Error, setting.File, setting.Line, trouble);
            }
        }

        CheckTogether(scope, report);
    }

    private static void CheckTogether(CheckScope scope, CheckReport report)
    {
        MailConfiguration configuration = scope.Configuration;
        bool Touched(params string[] names) => scope.Settings.Any(s => names.Contains(s.Name));
        long message = configuration.GetLong("message_size_limit");
        foreach (string mailbox in (string[])["mailbox_size_limit", "virtual_mailbox_limit"])
        {
            // Domains whose mail goes to another transport never come to that limit.
            if (mailbox == "virtual_mailbox_limit" && configuration.GetString("virtual_transport").Split(':')[0] != "virtual")
            {
                continue;
            }

            long limit = configuration.GetLong(mailbox);
            if (Touched(mailbox, "message_size_limit") && limit > 0 && (message == 0 || message > limit))
            {
                report.Error(mailbox, $"{mailbox} ({limit}) is smaller than message_size_limit ({message}): a message could never be delivered; raise the one or lower the other");
            }
        }

        if (Touched("minimal_backoff_time", "maximal_backoff_time")
            && configuration.GetTime("minimal_backoff_time") > configuration.GetTime("maximal_backoff_time"))
        {
            report.Warn("minimal_backoff_time", "minimal_backoff_time is greater than maximal_backoff_time; maximal_backoff_time counts");
        }

        if (Touched("queue_run_delay", "minimal_backoff_time")
            && configuration.GetTime("queue_run_delay") > configuration.GetTime("minimal_backoff_time"))
        {
            report.Warn("queue_run_delay", "queue_run_delay is greater than minimal_backoff_time: waiting mail is looked at less often than it is due");
        }

        if (Touched("myhostname", "mydomain"))
        {
            CheckHostName("myhostname", configuration, report);
            CheckHostName("mydomain", configuration, report);
        }

        if (Touched("virtual_alias_domains", "virtual_mailbox_domains", "relay_domains", "mydestination"))
        {
            CheckDomainClasses(configuration, report);
        }
    }

    private static void CheckHostName(string parameter, MailConfiguration configuration, CheckReport report)
    {
        string name = configuration.GetString(parameter);
        bool valid = name.Length is > 0 and <= 255 && !name.StartsWith('-')
            && name.Split('.').All(label => label.Length is > 0 and <= 63 && label.All(c => c is '-' or '_' || char.IsLetterOrDigit(c)));
        if (!valid && name.Length > 0)
        {
            report.Error(parameter, $"{parameter} = {name}: this is no host name; it must be letters, digits and - in labels with dots between, such as mail.example.com");
        }
    }

    /// <summary>A domain has one class; Postfix warns for each message, here it is said once.</summary>
    private static void CheckDomainClasses(MailConfiguration configuration, CheckReport report)
    {
        string[] classes = ["mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains"];
        var seen = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (string parameter in classes)
        {
            foreach (string domain in configuration.GetList(parameter).Distinct(StringComparer.OrdinalIgnoreCase))
            {
                // The old default of relay_domains repeats mydestination, and means subdomains by it.
                if (domain.Contains(':', StringComparison.Ordinal) || domain.StartsWith('/') || domain.StartsWith('!')
                    || seen.TryAdd(domain, parameter) || (parameter == "relay_domains" && seen[domain] == "mydestination"))
                {
                    continue;
                }

                report.Warn(parameter, $"do not list domain {domain} in BOTH {seen[domain]} and {parameter}: {seen[domain]} counts");
            }
        }
    }
}
