using System.Net;
using System.Net.Sockets;

namespace Postwright.Core.Configuration;

/// <summary>
/// The defaults that are found on the machine: myhostname (the host's name, completed by mydomain), mydomain (myhostname
/// without its first label), mynetworks (from mynetworks_style and the interfaces that inet_interfaces names).
/// </summary>
internal sealed class DerivedDefaults(MailConfiguration configuration, Lazy<HostFacts> facts)
{
    private const string NoDomain = "localdomain";

    public string? Find(string name) => name switch
    {
        "myhostname" => MyHostName(),
        "mydomain" => MyDomain(),
        "mynetworks" => MyNetworks(),
        "process_id" => Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture),
        "process_name" => facts.Value.ProcessName,
        _ => null,
    };

    private string MyHostName()
    {
        if (facts.Value.HostName.Contains('.', StringComparison.Ordinal))
        {
            return facts.Value.HostName;
        }

        string domain = configuration.IsSet("mydomain") ? configuration.GetString("mydomain") : NoDomain;
        return $"{facts.Value.HostName}.{domain}";
    }

    private string MyDomain()
    {
        string name = configuration.GetString("myhostname");
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? NoDomain : name[(dot + 1)..];
    }

    private string MyNetworks()
    {
        string style = configuration.GetString("mynetworks_style");
        IEnumerable<string> networks = OwnAddresses().Select(own => Network(own, style)).Distinct();
        return string.Join(' ', networks);
    }

    /// <summary>The addresses that inet_interfaces and inet_protocols select.</summary>
    internal IReadOnlyList<InterfaceAddress> OwnAddresses()
    {
        InetProtocols protocols = InetProtocols.From(configuration);
        var wanted = new HashSet<IPAddress>();
        foreach (string element in configuration.GetList("inet_interfaces"))
        {
            wanted.UnionWith(Selected(element));
        }

        return [.. facts.Value.Addresses.Where(a => (a.Address.AddressFamily == AddressFamily.InterNetwork ? protocols.Ipv4 : protocols.Ipv6) && wanted.Contains(a.Address))];
    }

    private IEnumerable<IPAddress> Selected(string element) => element.ToLowerInvariant() switch
    {
        "all" => facts.Value.Addresses.Select(a => a.Address),
        "loopback-only" => facts.Value.Addresses.Select(a => a.Address).Where(IPAddress.IsLoopback),
        _ => IPAddress.TryParse(element.Trim('[', ']'), out IPAddress? one) ? [one] : facts.Value.Resolve?.Invoke(element) ?? [],
    };

    private static string Network(InterfaceAddress own, string style)
    {
        byte[] bytes = own.Address.GetAddressBytes();
        bool v4 = bytes.Length == 4;
        int bits = style switch
        {
            "host" => bytes.Length * 8,
            // Classes exist for IPv4 alone; Postfix takes the interface's own prefix for IPv6.
            "class" when v4 => bytes[0] < 128 ? 8 : bytes[0] < 192 ? 16 : bytes[0] < 224 ? 24 : 32,
            _ => own.PrefixLength,
        };
        for (int bit = bits; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        var network = new IPAddress(bytes);
        return v4 ? $"{network}/{bits}" : $"[{network}]/{bits}";
    }
}
