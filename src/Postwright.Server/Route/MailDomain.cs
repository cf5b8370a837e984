using System.Diagnostics.CodeAnalysis;
using System.Net;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Route;

/// <summary>The domain part of an address: a host name, or an address in brackets (RFC 5321, 4.1.2 and 4.1.3).</summary>
internal static class MailDomain
{
    /// <summary>True for a valid host name that is no bare number, or a valid literal.</summary>
    public static bool IsValid(string domain) => domain.StartsWith('[') ? TryLiteral(domain, out _) : HostNames.IsValid(domain);

    /// <summary>The address of <c>[192.0.2.1]</c> or <c>[IPv6:2001:db8::1]</c>.</summary>
    public static bool TryLiteral(string domain, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        return domain.Length > 2 && domain[0] == '[' && domain[^1] == ']' && HostNames.IsValidLiteral(domain.AsSpan(1..^1), out address);
    }

    /// <summary>True for <c>192.0.2.1</c> without brackets.</summary>
    public static bool IsBareAddress(string domain) => HostNames.IsValidAddress(domain, out _);
}
