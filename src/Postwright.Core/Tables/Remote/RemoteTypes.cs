namespace Postwright.Core.Tables.Remote;

/// <summary>What every program knows of the remote types, whether or not it contains the code that asks them.</summary>
internal static class RemoteTypes
{
    /// <summary>In alphabetical order.</summary>
    public static readonly string[] Names = ["http", "ldap", "memcache", "mongodb", "mysql", "pgsql", "redis", "socketmap", "sqlite", "tcp"];

    private static readonly string[] Refusable = ["http:", "memcache:", "pcre:", "redis:", "regexp:", "socketmap:", "tcp:"];

    /// <summary>True where a server is asked, and no file.</summary>
    public static bool IsOnServer(string type) => type != "sqlite" && Names.Contains(type);

    /// <summary>See <see cref="ILookupTable.MatchesWholeKeysOnly"/>.</summary>
    public static bool SeesWholeKeysOnly(string type) => type is "socketmap" or "tcp";

    /// <summary>Why a table on a server is refused, in Postfix's words; null where it is not.</summary>
    /// <param name="type">The type.</param>
    /// <param name="name">As configured, with the type.</param>
    /// <param name="security">What depends on its results.</param>
    public static string? Refusal(string type, string name, TableSecurity security) => (type, security) switch
    {
        (_, TableSecurity.None) => null,
        ("tcp", _) => $"{name} map is not allowed for security sensitive data",
        ("socketmap" or "memcache", _) or ("redis" or "http", TableSecurity.Identities) => $"{name} map is not allowed for security-sensitive data",
        _ => null,
    };

    /// <summary>True where a <see cref="TableSecurity"/> may refuse the table, a part of it, or a rule in it.</summary>
    /// <param name="table">As configured: <c>type:name</c>.</param>
    public static bool CanBeRefused(string table) =>
        Refusable.Any(type => table.Contains(type, StringComparison.Ordinal));

    /// <summary>The tables on servers that a lookup in a table may ask: itself, or those that it is made of.</summary>
    /// <param name="table">As configured: <c>type:name</c>.</param>
    public static IEnumerable<string> ServersIn(string table)
    {
        int colon = table.IndexOf(':', StringComparison.Ordinal);
        string type = colon < 0 ? "" : table[..colon];
        string rest = table[(colon + 1)..];
        return type switch
        {
            "proxy" or "debug" => ServersIn(rest),
            "pipemap" or "unionmap" => rest.StartsWith('{') && BraceList.Unwrap(rest, out _) is { } inside ? BraceList.Split(inside).SelectMany(ServersIn) : [],
            _ => IsOnServer(type) ? [table] : [],
        };
    }
}
