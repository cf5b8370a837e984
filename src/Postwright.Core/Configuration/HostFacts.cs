using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Postwright.Core.Configuration;

/// <summary>An address of this machine with the length of its network prefix in bits.</summary>
public readonly record struct InterfaceAddress(IPAddress Address, int PrefixLength);

/// <summary>
/// What defaults are derived from: the machine's name, its addresses, and how names in inet_interfaces resolve. Found when a
/// configuration first needs them, so that a reload sees a new name; tests pass their own.
/// </summary>
/// <param name="HostName">The kernel's host name, completed or not.</param>
/// <param name="Addresses">IPv4 addresses first, in the order of the interfaces.</param>
/// <param name="Resolve">The addresses of a name in inet_interfaces; none when it has none or cannot be asked.</param>
public sealed record HostFacts(string HostName, IReadOnlyList<InterfaceAddress> Addresses, Func<string, IReadOnlyList<IPAddress>>? Resolve = null)
{
    /// <summary>What <c>$process_name</c> is.</summary>
    public string ProcessName { get; init; } = Path.GetFileName(Environment.ProcessPath) ?? "";

    /// <summary>The facts of the machine this runs on.</summary>
    public static HostFacts OfThisMachine()
    {
        var addresses = new List<InterfaceAddress>();
        try
        {
            foreach (NetworkInterface one in NetworkInterface.GetAllNetworkInterfaces())
            {
                foreach (UnicastIPAddressInformation address in one.GetIPProperties().UnicastAddresses)
                {
                    // Without the scope number, which no configuration names.
                    IPAddress plain = address.Address.AddressFamily == AddressFamily.InterNetworkV6
                        ? new IPAddress(address.Address.GetAddressBytes())
                        : address.Address;
                    addresses.Add(new InterfaceAddress(plain, address.PrefixLength));
                }
            }
        }
        catch (NetworkInformationException)
        {
            // No interface list (a container without /proc/net): the machine has no addresses to trust.
        }

        return new HostFacts(
            Environment.MachineName,
            [.. addresses.OrderBy(a => a.Address.AddressFamily == AddressFamily.InterNetwork ? 0 : 1)],
            ResolveHere);
    }

    private static IPAddress[] ResolveHere(string name)
    {
        try
        {
            return Dns.GetHostAddresses(name);
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            return [];
        }
    }
}
