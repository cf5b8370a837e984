using System.Net.Sockets;

namespace Postwright.Core.Configuration;

/// <summary><c>inet_protocols</c>: which of the two Internet protocols the mail system uses.</summary>
/// <param name="Ipv4">Whether IPv4 is one.</param>
/// <param name="Ipv6">Whether IPv6 is one.</param>
public readonly record struct InetProtocols(bool Ipv4, bool Ipv6)
{
    /// <summary>Without IPv6 where this machine has none.</summary>
    public InetProtocols OfThisMachine => this with { Ipv6 = Ipv6 && Socket.OSSupportsIPv6 };

    /// <summary>Reads the parameter; words that are none of all, ipv4 and ipv6 are passed over, as start has refused them.</summary>
    public static InetProtocols From(MailConfiguration configuration)
    {
        _ = TryParse(configuration.GetList("inet_protocols"), out InetProtocols protocols);
        return protocols;
    }

    /// <summary>Reads a value: all, ipv4, ipv6 in any combination and case; false if a word is none of these, or there is none.</summary>
    public static bool TryParse(IReadOnlyList<string> words, out InetProtocols protocols)
    {
        protocols = default;
        bool known = true;
        foreach (string word in words)
        {
            bool all = word.Equals("all", StringComparison.OrdinalIgnoreCase);
            bool four = all || word.Equals("ipv4", StringComparison.OrdinalIgnoreCase);
            bool six = all || word.Equals("ipv6", StringComparison.OrdinalIgnoreCase);
            known &= four || six;
            protocols = new InetProtocols(protocols.Ipv4 || four, protocols.Ipv6 || six);
        }

        return known && (protocols.Ipv4 || protocols.Ipv6);
    }
}
