using Postwright.Core.Posix;
using Postwright.Core.Tables.Remote;

namespace Postwright.Core.Configuration;

/// <summary>
/// The table types whose settings are in a file of their own, or in main.cf under <c>name_setting</c> when the table's name is
/// no path; and what those settings are called.
/// </summary>
internal static class DatabaseClients
{
    private static readonly string[] Common = ["domain", "result_format", "expansion_limit"];
    private static readonly string[] Certificates = ["tls_verify_cert", "tls_CAfile", "tls_CApath", "tls_cert_file", "tls_key_file"];
    private static readonly string[] Sql = [.. Common, "query", "select_function", "select_field", "table", "where_field", "additional_conditions", "result_attribute"];
    private static readonly string[] SqlServer = [.. Sql, "hosts", "user", "password", "dbname", "idle_interval", "retry_interval"];

    private static readonly Dictionary<string, string[]> Settings = new(StringComparer.Ordinal)
    {
        ["ldap"] =
        [
            .. Common, "server_host", "server_port", "timeout", "search_base", "query_filter", "result_attribute", "result_filter",
            "special_result_attribute", "leaf_result_attribute", "terminal_result_attribute", "scope", "bind", "bind_dn", "bind_pw",
            "cache", "cache_expiry", "cache_size", "recursion_limit", "size_limit", "dereference", "chase_referrals", "debuglevel",
            "version", "start_tls", "tls_ca_cert_file", "tls_ca_cert_dir", "tls_cert", "tls_key", "tls_require_cert",
            "tls_random_file", "tls_cipher_suite", "sasl_mechs", "sasl_realm", "sasl_authz_id", "sasl_minssf",
        ],
        ["mysql"] = [.. SqlServer, "option_file", "option_group", "charset", "require_result_set",
            "tls_key_file", "tls_cert_file", "tls_CAfile", "tls_CApath", "tls_ciphers", "tls_verify_cert"],
        ["pgsql"] = [.. SqlServer, "encoding"],
        ["sqlite"] = [.. Sql, "dbpath"],
        ["mongodb"] = [.. Common, "uri", "dbname", "collection", "query_filter", "result_attribute", "projection", "timeout"],
        ["memcache"] = ["memcache", "backup", "flags", "ttl", "key_format", "line_size_limit", "data_size_limit",
            "retry_pause", "max_try", "timeout", "domain", "legacy_key_format", "key_hash"],
        ["redis"] = [.. Common, "hosts", "user", "password", "dbname", "key_format", "hash", "timeout", "tls", .. Certificates],
        ["http"] = [.. Common, "url", "format", "json_path", "user", "password", "token", "timeout", .. Certificates],
    };

    /// <summary>Takes <c>type:name</c> or <c>type:name{options}</c> of such a type apart; false for every other table and text.</summary>
    public static bool TryParse(string table, out string name, out IReadOnlyList<string> settings)
    {
        int colon = table.IndexOf(':', StringComparison.Ordinal);
        if (colon > 0 && colon + 1 < table.Length && Settings.TryGetValue(table[..colon], out string[]? found))
        {
            // Options of ours may stand behind it; those that cannot be read are the table's own affair.
            _ = RemoteOptions.TryParse(table[(colon + 1)..], out name, out _, out _);
            settings = found;
            return name.Length > 0;
        }

        name = "";
        settings = [];
        return false;
    }

    /// <summary>What is wrong with a client's file, in Postfix's words: it cannot be read, or holds settings that the client does not have.</summary>
    /// <param name="type">The client's type.</param>
    /// <param name="path">The file.</param>
    /// <param name="settings">What the client reads.</param>
    public static IEnumerable<string> CheckFile(string type, string path, IReadOnlyList<string> settings)
    {
        string? trouble = ConfigurationFile.Read(path, out string text);
        if (trouble is not null)
        {
            return [$"open \"{type}\" configuration \"{path}\": {(DeliveryFile.Stat(path, out FileFacts facts) == 0 && !facts.IsRegular ? "not a regular file" : trouble)}"];
        }

        return MainCf.Parse(text, path, []).Values
            .Where(setting => !settings.Contains(setting.Name))
            .Select(setting => $"{type}:{path}: unused parameter: {setting.Name}={setting.Value}");
    }
}
