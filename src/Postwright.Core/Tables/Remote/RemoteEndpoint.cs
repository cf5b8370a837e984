using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Postwright.Core.Posix;

namespace Postwright.Core.Tables.Remote;

/// <summary>Where a server listens: a host and a port, or a unix-domain socket.</summary>
/// <param name="Host">A name or an address; empty for a unix-domain socket.</param>
/// <param name="Port">The port.</param>
/// <param name="Path">The socket's path, or null.</param>
internal sealed record RemoteEndpoint(string Host, int Port, string? Path = null)
{
    /// <summary>Reads <c>inet:host:port</c>, <c>host:port</c>, <c>[address]:port</c>, <c>unix:/path</c>.</summary>
    /// <param name="text">As configured.</param>
    /// <param name="defaultPort">The port where none is written; 0 when one must be.</param>
    /// <exception cref="RemoteConfigurationException">It is none of these.</exception>
    public static RemoteEndpoint Parse(string text, int defaultPort)
    {
        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            return text.Length > 5 ? new RemoteEndpoint("", 0, text[5..]) : throw new RemoteConfigurationException($"bad socket name: \"{text}\"");
        }

        string rest = text.StartsWith("inet:", StringComparison.Ordinal) ? text[5..] : text;
        int close = rest.StartsWith('[') ? rest.IndexOf(']', StringComparison.Ordinal) : -1;
        int colon = rest.IndexOf(':', Math.Max(close, 0));
        string host = close > 0 ? rest[1..close] : colon < 0 ? rest : rest[..colon];
        string port = colon < 0 ? "" : rest[(colon + 1)..];
        if ((close > 0 && colon > close + 1) || (close > 0 && colon < 0 && rest.Length > close + 1) || host.Length == 0)
        {
            throw new RemoteConfigurationException($"bad host or port: \"{text}\"");
        }

        int number = port.Length == 0 ? defaultPort : PortNumber(port);
        return number is > 0 and < 65536 ? new RemoteEndpoint(host, number) : throw new RemoteConfigurationException($"bad host or port: \"{text}\"");
    }

    /// <summary>The same where <c>inet:</c> or <c>unix:</c> must come first.</summary>
    /// <exception cref="RemoteConfigurationException">It is neither.</exception>
    public static RemoteEndpoint ParseService(string text, int defaultPort)
    {
        string transport = text.Split(':')[0];
        return transport is "inet" or "unix"
            ? Parse(text, defaultPort)
            : throw new RemoteConfigurationException($"invalid transport name: {transport} in service: {text}");
    }

    /// <summary>As it is logged.</summary>
    public override string ToString() => Path ?? (Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}");

    /// <summary>Connects to the first address that answers.</summary>
    /// <exception cref="RemoteFailure">None does.</exception>
    public async ValueTask<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        string? reason = null;
        foreach (EndPoint address in await AddressesAsync(cancellationToken))
        {
            var socket = address is UnixDomainSocketEndPoint
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(address, cancellationToken);
                return socket;
            }
            catch (SocketException failure)
            {
                reason = Reason(failure);
                socket.Dispose();
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        throw new RemoteFailure($"connect to {this}: {reason ?? "no address"}");
    }

    /// <summary>A failure in the system's words. For a socket in the file system, the runtime takes "no such file" for an address.</summary>
    private string Reason(SocketException failure) => Libc.ErrorText(
        Path is not null && failure.SocketErrorCode == SocketError.AddressNotAvailable ? Libc.NoSuchFile : failure.NativeErrorCode);

    private static int PortNumber(string port)
    {
        if (int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return number;
        }

        try
        {
            foreach (string line in SystemFiles.ReadLines("/etc/services"))
            {
                string[] words = line.Split('#')[0].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
                if (words.Length >= 2 && words[1].EndsWith("/tcp", StringComparison.Ordinal) && words.Where((_, i) => i != 1).Contains(port)
                    && int.TryParse(words[1][..^4], NumberStyles.None, CultureInfo.InvariantCulture, out number))
                {
                    return number;
                }
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // No list of services: the name is unknown.
        }

        return 0;
    }

    private async ValueTask<EndPoint[]> AddressesAsync(CancellationToken cancellationToken)
    {
        if (Path is not null)
        {
            try
            {
                return [new UnixDomainSocketEndPoint(Path)];
            }
            catch (ArgumentException)
            {
                throw new RemoteFailure($"connect to {Path}: the path is too long for a socket");
            }
        }

        if (IPAddress.TryParse(Host, out IPAddress? literal))
        {
            return [new IPEndPoint(literal, Port)];
        }

        try
        {
            return [.. (await Dns.GetHostAddressesAsync(Host, cancellationToken)).Select(address => new IPEndPoint(address, Port))];
        }
        catch (SocketException failure)
        {
            throw new RemoteFailure($"connect to {this}: {failure.Message}");
        }
    }
}
