using System.Net;
using System.Net.Sockets;

namespace Postwright.Server.Route;

/// <summary>The domain part of an address: a host name, or an address in brackets (RFC 5321, 4.1.2 and 4.1.3).</summary>
internal static class MailDomain
{
    private const int MaxName = 255;
    private const int MaxLabel = 63;

    /// <summary>True for a valid host name that is no bare number, or a valid literal.</summary>
    public static bool IsValid(string domain) => domain.StartsWith('[') ? TryLiteral(domain, out _) : IsHostName(domain);

    /// <summary>The address of <c>[192.0.2.1]</c> or <c>[IPv6:2001:db8::1]</c>.</summary>
    public static bool TryLiteral(string domain, out IPAddress address)
    {
        address = IPAddress.None;
        if (domain.Length < 3 || domain[0] != '[' || domain[^1] != ']')
        {
            return false;
        }

        const string Prefix = "IPv6:";
        string inner = domain[1..^1];
        bool v6 = inner.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);
        if (!IPAddress.TryParse(v6 ? inner[Prefix.Length..] : inner, out IPAddress? parsed) || parsed.ScopeIdOrZero() != 0)
        {
            return false;
        }

        address = parsed;
        return parsed.AddressFamily == (v6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork) && (v6 || inner.Count(c => c == '.') == 3);
    }

    /// <summary>True for <c>192.0.2.1</c> without brackets.</summary>
    public static bool IsBareAddress(string domain) =>
        domain.Count(c => c == '.') == 3 && IPAddress.TryParse(domain, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork;

    private static bool IsHostName(string name)
    {
        if (name.Length is 0 or > MaxName)
        {
            return false;
        }

        bool hasLetter = false;
        int label = 0;
        for (int i = 0; i < name.Length; i++)
        {
            char c = name[i];
            if (c == '.')
            {
                if (label == 0 || i + 1 == name.Length)
                {
                    return false;
                }

                label = 0;
                continue;
            }

            bool plain = char.IsAsciiLetterOrDigit(c) || c == '_' || c >= 0x80;
            bool hyphen = c == '-' && label > 0 && i + 1 < name.Length && name[i + 1] != '.';
            if ((!plain && !hyphen) || ++label > MaxLabel)
            {
                return false;
            }

            hasLetter |= !char.IsAsciiDigit(c);
        }

        return hasLetter;
    }

    private static long ScopeIdOrZero(this IPAddress address) => address.AddressFamily == AddressFamily.InterNetworkV6 ? address.ScopeId : 0;
}
