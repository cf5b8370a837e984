using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Postwright.Core.Configuration;
using Postwright.Core.Posix;

namespace Postwright.Server.Master;

/// <summary>What main.cf says about where to listen.</summary>
/// <param name="Interfaces"><c>inet_interfaces</c>: all, loopback-only, names and addresses.</param>
/// <param name="Protocols"><c>inet_protocols</c>, as far as this machine has them.</param>
public sealed record InterfaceOptions(IReadOnlyList<string> Interfaces, InetProtocols Protocols)
{
    /// <summary>Reads both; null if a word of <c>inet_protocols</c> is unknown.</summary>
    public static InterfaceOptions? From(IReadOnlyList<string> interfaces, IReadOnlyList<string> protocols) =>
        InetProtocols.TryParse(protocols, out InetProtocols parsed) ? new InterfaceOptions(interfaces, parsed.OfThisMachine) : null;
}

/// <summary>
/// The service name of an <c>inet</c> row, <c>[host:]port</c> with port a number or a name of /etc/services, and the
/// addresses that it stands for.
/// </summary>
public static class InetService
{
    private const string ServicesPath = "/etc/services";

    /// <summary>The end points of a service; null and why not.</summary>
    /// <param name="service">Such as <c>smtp</c>, <c>127.0.0.1:2525</c>, <c>[::1]:25</c>, <c>localhost:submission</c>.</param>
    /// <param name="options">Which interfaces and protocols.</param>
    /// <param name="resolve">The addresses of a host name; empty if there are none.</param>
    /// <param name="error">What is wrong with the name, for a message.</param>
    public static IReadOnlyList<IPEndPoint>? Resolve(string service, InterfaceOptions options, Func<string, IReadOnlyList<IPAddress>> resolve, out string? error)
    {
        error = null;
        if (!TrySplit(service, out string host, out string portName))
        {
            error = $"bad service name: {service}";
            return null;
        }

        if (PortOf(portName) is not int port)
        {
            error = $"unknown service: {portName}/tcp";
            return null;
        }

        List<IPAddress> addresses = [];
        foreach (string name in host.Length > 0 ? [host] : options.Interfaces)
        {
            List<IPAddress> found = AddressesOf(name, options, resolve);
            if (found.Count == 0 && name is not ("all" or "loopback-only"))
            {
                error = $"host not found: {name}";
                return null;
            }

            addresses.AddRange(found.Where(a => !addresses.Contains(a)));
        }

        return [.. addresses.Select(a => new IPEndPoint(a, port))];
    }

    private static bool TrySplit(string service, out string host, out string port)
    {
        host = "";
        port = service;
        if (service.StartsWith('['))
        {
            int end = service.IndexOf("]:", StringComparison.Ordinal);
            if (end < 0)
            {
                return false;
            }

            host = service[1..end];
            port = service[(end + 2)..];
        }
        else if (service.LastIndexOf(':') is >= 0 and int colon)
        {
            host = service[..colon];
            port = service[(colon + 1)..];
        }

        return port.Length > 0;
    }

    private static int? PortOf(string name)
    {
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int port))
        {
            return port is >= 0 and <= ushort.MaxValue ? port : null;
        }

        try
        {
            foreach (string line in SystemFiles.ReadLines(ServicesPath))
            {
                string[] fields = line.Split('#')[0].Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
                if (fields.Length > 1 && fields[1].EndsWith("/tcp", StringComparison.Ordinal)
                    && (fields[0] == name || fields.AsSpan(2).Contains(name))
                    && int.TryParse(fields[1].AsSpan(0, fields[1].Length - 4), NumberStyles.None, CultureInfo.InvariantCulture, out port))
                {
                    return port;
                }
            }
        }
        catch (IOException)
        {
            // No such file on a small system: the names that a mail system needs are known.
        }

        return name switch
        {
            "smtp" or "mail" => 25,
            "submissions" or "smtps" or "urd" => 465,
            "submission" => 587,
            _ => null,
        };
    }

    private static List<IPAddress> AddressesOf(string name, InterfaceOptions options, Func<string, IReadOnlyList<IPAddress>> resolve)
    {
        IEnumerable<IPAddress> all = name switch
        {
            "all" => [IPAddress.Any, IPAddress.IPv6Any],
            "loopback-only" => [IPAddress.Loopback, IPAddress.IPv6Loopback],
            _ => IPAddress.TryParse(name.Trim('[', ']'), out IPAddress? address) ? [address] : resolve(name),
        };
        return [.. all.Where(a => a.AddressFamily == AddressFamily.InterNetwork ? options.Protocols.Ipv4 : options.Protocols.Ipv6)];
    }
}
