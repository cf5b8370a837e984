namespace Postwright.Core.Configuration.Check;

/// <summary>The words that parameters with a fixed choice accept.</summary>
internal static class AllowedValues
{
    private static readonly Dictionary<string, string[]> One = new(StringComparer.Ordinal)
    {
        ["mynetworks_style"] = ["host", "subnet", "class"],
        ["smtpd_forbid_bare_newline"] = ["normalize", "yes", "reject", "note", "no"],
        ["reject_tempfail_action"] = ["defer", "defer_if_permit"],
        ["unknown_address_tempfail_action"] = ["defer", "defer_if_permit"],
        ["smtp_address_preference"] = ["any", "ipv4", "ipv6"],
        ["lmtp_address_preference"] = ["any", "ipv4", "ipv6"],
        ["info_log_address_format"] = ["external", "internal"],
        ["header_from_format"] = ["standard", "obsolete"],
        ["sendmail_fix_line_endings"] = ["always", "never", "strict"],
        ["syslog_facility"] = ["auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user", "uucp",
            "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
        ["smtpd_tls_security_level"] = ["", "none", "may", "encrypt"],
        ["smtp_tls_security_level"] = ["", "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"],
        ["lmtp_tls_security_level"] = ["", "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"],
    };

    private static readonly Dictionary<string, string[]> Many = new(StringComparer.Ordinal)
    {
        ["inet_protocols"] = ["all", "ipv4", "ipv6"],
        ["mailbox_delivery_lock"] = ["fcntl", "flock", "dotlock"],
        ["virtual_mailbox_lock"] = ["fcntl", "flock", "dotlock"],
        ["notify_classes"] = ["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"],
        ["propagate_unmatched_extensions"] = ["canonical", "virtual", "alias", "forward", "include", "generic"],
        ["allow_mail_to_commands"] = ["alias", "forward", "include"],
        ["allow_mail_to_files"] = ["alias", "forward", "include"],
        ["prepend_delivered_header"] = ["command", "file", "forward"],
        ["smtp_host_lookup"] = ["dns", "native"],
        ["lmtp_host_lookup"] = ["dns", "native"],
        ["receive_override_options"] = ["no_unknown_recipient_checks", "no_header_body_checks", "no_milters", "no_address_mappings"],
    };

    /// <summary>What is wrong with a value of a parameter with a fixed choice; null for all else.</summary>
    public static string? Explain(string name, string text)
    {
        if (One.TryGetValue(name, out string[]? allowed))
        {
            return allowed.Contains(text, StringComparer.OrdinalIgnoreCase) ? null : Trouble(name, text, "one of", allowed);
        }

        if (!Many.TryGetValue(name, out allowed))
        {
            return name == "compatibility_level" && !CompatibilityLevel.TryParse(text, out _)
                ? $"compatibility_level = {text}: this must be a release such as 3.6, or 0"
                : null;
        }

        string? wrong = ConfigurationList.Split(text).FirstOrDefault(word => !allowed.Contains(word, StringComparer.OrdinalIgnoreCase));
        return wrong is null ? null : Trouble(name, wrong, "some of", allowed);
    }

    private static string Trouble(string name, string text, string what, string[] allowed)
        => $"{name} = {text}: this must be {what} {string.Join(", ", allowed.Where(a => a.Length > 0))}{(allowed[0].Length == 0 ? ", or nothing" : "")}";
}
