using System.Net;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>What is known of a client's name: it decides between 4xx and 5xx.</summary>
internal enum NameStatus : byte
{
    /// <summary>Verified.</summary>
    Ok,

    /// <summary>DNS did not answer.</summary>
    Temporary,

    /// <summary>No name, or one that does not lead back to the address.</summary>
    Permanent,
}

/// <summary>Who a session talks with: the connection's peer, or whom XCLIENT names.</summary>
internal sealed record SmtpdClient
{
    public required string Name { get; init; }

    public NameStatus NameStatus { get; init; }

    /// <summary>The name of the reverse zone, verified or not; <c>unknown</c> without one.</summary>
    public required string ReverseName { get; init; }

    public NameStatus ReverseStatus { get; init; }

    /// <summary>Without brackets.</summary>
    public required string Address { get; init; }

    public required string Port { get; init; }

    /// <summary>null when it is no Internet address.</summary>
    public IPAddress? IpAddress { get; init; }

    /// <summary><c>name[address]</c>, as logged; with the port if smtpd_client_port_logging says so.</summary>
    public required string NameAndAddress { get; init; }

    /// <summary>The address as Received: has it: <c>IPv6:...</c> for that family.</summary>
    public string AddressInHeader => IpAddress is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 } ? "IPv6:" + Address : Address;

    public static string Combine(string name, string address, string port, bool withPort) =>
        withPort ? $"{name}[{address}]:{port}" : $"{name}[{address}]";
}
