using System.Net;
using System.Net.Sockets;
using Postwright.Core.Logging;

namespace Postwright.Server.Master;

/// <summary>A service that listens: its row's name in master.cf and its addresses.</summary>
/// <param name="Service">First field of the row.</param>
/// <param name="EndPoints">Where it listens.</param>
public sealed record ListeningService(string Service, IReadOnlyList<IPEndPoint> EndPoints);

/// <summary>
/// The listening sockets of all inet rows, which master (or the single process) opens while it may, and keeps open for as long
/// as it runs, so that clients wait in the kernel's queue while the mail process restarts. Sockets that systemd passed are used
/// where their address is a row's.
/// </summary>
public sealed class ListenerSet : IDisposable
{
    // Clients that wait to be accepted; the kernel caps it at net.core.somaxconn.
    private const int Backlog = 4096;
    private readonly Dictionary<string, Socket> _open = new(StringComparer.Ordinal);
    private readonly List<Socket> _inherited = [];

    /// <summary>Keys and sockets that are open, by key: service, <c>#</c>, address index.</summary>
    public IReadOnlyDictionary<string, Socket> Open => _open;

    /// <summary>Offers sockets that were passed to this process (socket activation).</summary>
    public void Inherit(IEnumerable<int> descriptors)
    {
        foreach (int descriptor in descriptors)
        {
            _inherited.Add(new Socket(new SafeSocketHandle(descriptor, ownsHandle: true)));
        }
    }

    /// <summary>
    /// Opens what <paramref name="services"/> want and is not open, and closes what none of them wants.
    /// False, with Postfix's fatal line, if an address cannot be had; what was open stays open then.
    /// </summary>
    /// <param name="services">All rows that listen.</param>
    /// <param name="log">Master's log.</param>
    /// <param name="opened">Keys opened now.</param>
    /// <param name="closed">Keys closed now.</param>
    public bool Update(IReadOnlyList<ListeningService> services, MailLog log, out IReadOnlyList<string> opened, out IReadOnlyList<string> closed)
    {
        List<string> added = [];
        HashSet<string> wanted = new(StringComparer.Ordinal);
        opened = added;
        closed = [];
        foreach (ListeningService service in services)
        {
            foreach (IPEndPoint endPoint in service.EndPoints)
            {
                string key = KeyOf(service.Service, endPoint);
                if (!wanted.Add(key) || _open.ContainsKey(key))
                {
                    continue;
                }

                if (TryListen(endPoint, out SocketError error) is not { } socket)
                {
                    log.Fatal($"bind {endPoint.Address} port {endPoint.Port}: {Describe(error)}");
                    foreach (string mistaken in added)
                    {
                        Close(mistaken);
                    }

                    return false;
                }

                _open[key] = socket;
                added.Add(key);
                if (endPoint.Port == 0)
                {
                    log.Info($"service \"{service.Service}\" listens on {socket.LocalEndPoint}");
                }
            }
        }

        List<string> gone = [.. _open.Keys.Where(key => !wanted.Contains(key))];
        gone.ForEach(Close);
        closed = gone;
        return true;
    }

    /// <summary>The name of a listener among the passed descriptors, whose names may hold no colon.</summary>
    public static string KeyOf(string service, IPEndPoint endPoint) => $"{NameInKey(service)}#{endPoint.Address.ToString().Replace(':', '_')}";

    /// <summary>A service's name as a key begins with it.</summary>
    public static string NameInKey(string service) => service.Replace(':', '_').Replace('#', '_');

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (Socket socket in _open.Values.Concat(_inherited))
        {
            socket.Dispose();
        }

        _open.Clear();
        _inherited.Clear();
    }

    private Socket? TryListen(IPEndPoint endPoint, out SocketError error)
    {
        error = SocketError.Success;
        if (_inherited.Find(s => endPoint.Equals(s.LocalEndPoint)) is { } passed)
        {
            _inherited.Remove(passed);
            return passed;
        }

        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endPoint.AddressFamily == AddressFamily.InterNetworkV6)
            {
                socket.DualMode = false;
            }

            socket.Bind(endPoint);
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException failure)
        {
            error = failure.SocketErrorCode;
            socket.Dispose();
            return null;
        }
    }

    private void Close(string key)
    {
        _open[key].Dispose();
        _open.Remove(key);
    }

    private static string Describe(SocketError error) => error switch
    {
        SocketError.AddressAlreadyInUse => "Address already in use",
        SocketError.AddressNotAvailable => "Cannot assign requested address",
        SocketError.AccessDenied => "Permission denied",
        _ => error.ToString(),
    };
}
