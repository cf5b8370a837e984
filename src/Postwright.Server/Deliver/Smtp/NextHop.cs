using System.Globalization;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// A next hop of the smtp and lmtp transports: <c>domain</c>, <c>domain:port</c>, <c>[host]</c>, <c>[host]:port</c>,
/// <c>inet:host:port</c> and, for lmtp, <c>unix:path</c>. Brackets mean: this host, without asking for mail exchangers.
/// </summary>
/// <param name="Host">Name or address, without brackets and <c>IPv6:</c>.</param>
/// <param name="Port">Port number.</param>
/// <param name="LookupMx">True without brackets.</param>
/// <param name="UnixPath">The socket's path for <c>unix:</c>, else null.</param>
internal readonly record struct NextHop(string Host, int Port, bool LookupMx, string? UnixPath)
{
    /// <summary>Reads a next hop.</summary>
    /// <param name="text">From routing.</param>
    /// <param name="defaultPort">25 for smtp, 24 for lmtp.</param>
    /// <param name="nextHop">The parts.</param>
    /// <param name="error">What is wrong with it.</param>
    public static bool TryParse(string text, int defaultPort, out NextHop nextHop, out string? error)
    {
        nextHop = default;
        error = null;
        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            nextHop = new NextHop(text, 0, false, text[5..]);
            return true;
        }

        bool inet = text.StartsWith("inet:", StringComparison.Ordinal);
        string rest = inet ? text[5..] : text;
        string host = rest;
        string? port = null;
        bool bracketed = false;
        if (rest.StartsWith('['))
        {
            int close = rest.IndexOf(']', StringComparison.Ordinal);
            if (close < 0 || (close + 1 < rest.Length && rest[close + 1] != ':'))
            {
                error = $"bad host or port in destination: {text}";
                return false;
            }

            bracketed = true;
            host = rest[1..close];
            port = close + 1 < rest.Length ? rest[(close + 2)..] : null;
        }
        else if (rest.IndexOf(':', StringComparison.Ordinal) is var colon and >= 0 && colon == rest.LastIndexOf(':'))
        {
            host = rest[..colon];
            port = rest[(colon + 1)..];
        }

        if (host.StartsWith("ipv6:", StringComparison.OrdinalIgnoreCase))
        {
            host = host[5..];
        }

        int number = defaultPort;
        if (host.Length == 0 || (port is not null && !TryParsePort(port, out number)))
        {
            error = $"bad host or port in destination: {text}";
            return false;
        }

        nextHop = new NextHop(host, number, !bracketed && !inet, null);
        return true;
    }

    private static bool TryParsePort(string text, out int port)
    {
        port = text switch
        {
            "smtp" => 25,
            "lmtp" => 24,
            "submission" => 587,
            _ => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0,
        };
        return port is > 0 and <= 65535;
    }
}
