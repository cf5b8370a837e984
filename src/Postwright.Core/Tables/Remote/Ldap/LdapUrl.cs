using System.Globalization;

namespace Postwright.Core.Tables.Remote.Ldap;

/// <summary>An LDAP URL (RFC 4516): <c>ldap://host:port/base?attributes?scope?filter</c>.</summary>
/// <param name="Base">Where to search.</param>
/// <param name="Attributes">What to read; empty for everything.</param>
/// <param name="Scope">0 base, 1 one level, 2 the whole tree.</param>
/// <param name="Filter">What to find.</param>
internal sealed record LdapUrl(string Base, IReadOnlyList<string> Attributes, int Scope, string Filter)
{
    /// <summary>True when a value looks like a URL rather than a name.</summary>
    public static bool IsUrl(string text) =>
        text.StartsWith("ldap://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("ldaps://", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("ldapi://", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a URL; null when it is none. The host is passed over: the table's own servers are asked.</summary>
    public static LdapUrl? Parse(string text)
    {
        int start = text.IndexOf("://", StringComparison.Ordinal) + 3;
        int slash = text.IndexOf('/', start);
        string[] parts = slash < 0 ? [""] : text[(slash + 1)..].Split('?');
        string Part(int index) => parts.Length > index ? Uri.UnescapeDataString(parts[index]) : "";
        int scope = Part(2).ToLowerInvariant() switch { "" or "base" => 0, "one" or "onelevel" => 1, "sub" or "subtree" => 2, _ => -1 };
        string filter = Part(3);
        return scope < 0 ? null : new LdapUrl(
            Part(0), parts.Length > 1 ? [.. parts[1].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Uri.UnescapeDataString)] : [], scope,
            filter.Length == 0 ? "(objectClass=*)" : filter);
    }

    /// <summary>Reads a word of <c>server_host</c>: a URL without a path, or a host with or without a port.</summary>
    /// <exception cref="RemoteConfigurationException">It is neither.</exception>
    public static (RemoteEndpoint Endpoint, bool IsSecure) Server(string word, int defaultPort)
    {
        if (!IsUrl(word))
        {
            return (RemoteEndpoint.Parse(word, defaultPort), false);
        }

        string scheme = word[..word.IndexOf(':', StringComparison.Ordinal)].ToLowerInvariant();
        string host = word[(scheme.Length + 3)..];
        int slash = host.IndexOf('/', StringComparison.Ordinal);
        host = slash < 0 ? host : host[..slash];
        if (scheme == "ldapi")
        {
            string path = Uri.UnescapeDataString(host);
            return (new RemoteEndpoint("", 0, path.Length > 0 ? path : "/run/slapd/ldapi"), false);
        }

        int port = scheme == "ldaps" ? 636 : 389;
        return (RemoteEndpoint.Parse(host.Length == 0 ? string.Create(CultureInfo.InvariantCulture, $"localhost:{port}") : host, port), scheme == "ldaps");
    }
}
