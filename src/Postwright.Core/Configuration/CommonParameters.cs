using System.Globalization;
using System.Text;
using Postwright.Core.Configuration.Check;

namespace Postwright.Core.Configuration;

/// <summary>
/// What every program of Postfix but postconf reads when it starts, whatever it is asked to do, and refuses to run with: a
/// command that went on with a default instead would do something else than what main.cf asks. In Postfix's order and words.
/// Only what is set is looked at, as defaults are good. What needs the host's users and groups is left to start.
/// </summary>
internal static class CommonParameters
{
    private const string NotEmpty = """
        mail_version syslog_facility maillog_file_prefixes maillog_file_compressor maillog_file_rotate_suffix postlog_service_name
        myhostname mydomain mail_name syslog_name mail_owner setgid_group myorigin daemon_directory data_directory command_directory
        meta_directory queue_directory shlib_directory process_id_directory double_bounce_sender default_privs mail_release_date
        default_database_type hash_queue_names mynetworks_style default_verp_delimiters verp_delimiter_filter bounce_service_name
        cleanup_service_name defer_service_name pickup_service_name queue_service_name rewrite_service_name showq_service_name
        error_service_name flush_service_name address_verify_service_name trace_service_name proxymap_service_name
        proxywrite_service_name smtputf8_autodetect_classes info_log_address_format
        """;

    private const string InOrder = """
        compatibility_level mail_version syslog_facility maillog_file maillog_file_prefixes maillog_file_compressor
        maillog_file_rotate_suffix postlog_service_name dnssec_probe known_tcp_ports inet_protocols multi_instance_directories
        daemon_table_open_error_is_fatal dns_ncache_ttl_fix_enable smtputf8_enable enable_idna2003_compatibility respectful_logging
        myhostname mydomain mail_name syslog_name mail_owner setgid_group myorigin mydestination daemon_directory data_directory
        command_directory meta_directory queue_directory shlib_directory process_id_directory inet_interfaces proxy_interfaces
        double_bounce_sender default_privs alias_database mail_release_date default_database_type hash_queue_names relay_domains
        mynetworks mynetworks_style relayhost recipient_delimiter fast_flush_domains debug_peer_list default_verp_delimiters
        verp_delimiter_filter parent_domain_matches_subdomains alternate_config_directories bounce_service_name cleanup_service_name
        defer_service_name pickup_service_name queue_service_name rewrite_service_name showq_service_name error_service_name
        flush_service_name address_verify_service_name trace_service_name proxymap_service_name proxywrite_service_name
        internal_mail_filter_classes multi_instance_group multi_instance_name multi_instance_wrapper message_drop_headers
        smtputf8_autodetect_classes info_log_address_format default_delivery_status_filter import_environment export_environment
        default_process_limit max_use dont_remove line_length_limit hash_queue_depth fork_attempts deliver_lock_attempts
        debug_peer_level fault_injection_code berkeley_db_create_buffer_size berkeley_db_read_buffer_size header_size_limit
        header_address_token_limit mime_nesting_limit mime_boundary_length_limit delay_logging_resolution_limit tcp_windowsize
        message_size_limit lmdb_map_size disable_dns_lookups soft_bounce owner_request_special strict_8bitmime strict_7bit_headers
        strict_8bitmime_body strict_mime_encoding_domain disable_mime_input_processing disable_mime_output_conversion
        address_verify_negative_cache backwards_bounce_logfile_compatibility helpful_warnings send_cyrus_sasl_authzid
        multi_instance_enable enable_long_queue_ids strict_smtputf8 enable_original_recipient application_event_drain_time max_idle
        ipc_timeout ipc_idle ipc_ttl trigger_timeout fork_delay deliver_lock_delay stale_lock_time daemon_timeout in_flow_delay
        """;

    /// <summary>Why no program can work with a configuration: main.cf is malformed, or the first of these values is wrong; else null.</summary>
    /// <param name="configuration">As it was read, before anything was asked of it.</param>
    /// <param name="warn">Takes what Postfix warns of before it ends.</param>
    public static string? WhyUnusable(MailConfiguration configuration, Action<string> warn)
    {
        string main = ConfigurationFile.In(configuration.ConfigDirectory, "main.cf");
        if (configuration.Errors.FirstOrDefault(error => error.IsFatal && error.File == main) is { } malformed)
        {
            return malformed.ToString();
        }

        HashSet<string> notEmpty = [.. Words(NotEmpty)];
        foreach (string name in Words(InOrder).Where(configuration.IsSet))
        {
            if (ParameterTable.Find(name) is not { } row)
            {
                continue;
            }

            string text = configuration.GetUnexpanded(name);
            MacroExpander.Result result = row.Kind == ParameterKind.Raw
                ? new MacroExpander.Result(text, Failed: false, Undefined: false)
                : MacroExpander.Expand(text, configuration.LookUp, warn, ConfigurationFunctions.Find);
            if (result.Failed)
            {
                return "dictionary mail_dict: macro processing error";
            }

            if (Explain(row, result.Text, notEmpty.Contains(name), main) is { } wrong)
            {
                return wrong;
            }
        }

        return null;
    }

    private static string[] Words(string list) => list.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);

    private static string? Explain(ParameterDefinition row, string text, bool notEmpty, string main) => row.Kind switch
    {
        ParameterKind.Bool => MailConfiguration.Explain(row, text) is null ? null : $"bad boolean configuration: {row.Name} = {text}",
        ParameterKind.Int => ExplainNumber(row, text, int.MinValue, int.MaxValue),
        ParameterKind.Long => ExplainNumber(row, text, long.MinValue, long.MaxValue),
        ParameterKind.Time => ExplainTime(row, text),
        _ => ExplainText(row.Name, text, notEmpty, main),
    };

    private static string? ExplainNumber(ParameterDefinition row, string text, long bottom, long top)
    {
        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) || value < bottom || value > top)
        {
            return $"bad numerical configuration: {row.Name} = {text}";
        }

        // To Postfix a limit of 0 is none.
        return row.Minimum > 0 && value < row.Minimum ? $"invalid {row.Name} parameter value {value} < {row.Minimum}"
            : row.Maximum > 0 && value > row.Maximum ? $"invalid {row.Name} parameter value {value} > {row.Maximum}"
            : null;
    }

    private static string? ExplainTime(ParameterDefinition row, string text)
    {
        if (!TimeValue.TryParse(text, row.Unit, out TimeSpan value))
        {
            return $"parameter {row.Name}: bad time value or unit: {text}";
        }

        long seconds = (long)value.TotalSeconds;
        return row.Minimum > 0 && seconds < row.Minimum ? $"invalid {row.Name}: {seconds} (min {row.Minimum})"
            : row.Maximum > 0 && seconds > row.Maximum ? $"invalid {row.Name}: {seconds} (max {row.Maximum})"
            : null;
    }

    private static string? ExplainText(string name, string text, bool notEmpty, string main)
    {
        int least = name == "default_verp_delimiters" ? 2 : notEmpty ? 1 : 0;
        int length = Encoding.UTF8.GetByteCount(text);
        if (length < least)
        {
            return $"bad string length {length} < {least}: {name} = {text}";
        }

        return name switch
        {
            "default_verp_delimiters" when length > 2 => $"bad string length {length} > 2: {name} = {text}",
            "compatibility_level" when !CompatibilityLevel.TryParse(text, out _) => $"malformed compatibility level syntax: \"{text}\"",
            "inet_protocols" when ConfigurationList.Split(text).FirstOrDefault(word => !InetProtocols.TryParse([word], out _)) is { } word =>
                $"unknown inet_protocols value \"{word}\" in \"{text}\"",
            "syslog_facility" when AllowedValues.Explain(name, text) is not null => $"file {main}: parameter {name}: unrecognized value: {text}",
            _ => null,
        };
    }
}
