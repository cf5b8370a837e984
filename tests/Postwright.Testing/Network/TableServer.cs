using System.Net;
using System.Net.Sockets;

namespace Postwright.Testing.Network;

/// <summary>
/// A server of a lookup protocol on a real loopback or unix-domain socket: what a connection does is the test's. It can be
/// stopped, so that connecting is refused and open connections end, and started again at the same place; while it is held,
/// requests are read and not answered.
/// </summary>
public sealed class TableServer : IAsyncDisposable
{
    private readonly Func<Stream, TableServer, Task> _serve;
    private readonly Lock _lock = new();
    private readonly HashSet<Socket> _open = [];
    private readonly List<Task> _tasks = [];
    private readonly List<string> _requests = [];
    private Socket? _listener;
    private TaskCompletionSource? _held;

    /// <summary>Starts on a free port of 127.0.0.1, or on a unix-domain socket.</summary>
    /// <param name="serve">Serves a connection; it ends with an exception when the connection does.</param>
    /// <param name="path">The socket's path, or null for TCP.</param>
    public TableServer(Func<Stream, TableServer, Task> serve, string? path = null)
    {
        _serve = serve;
        EndPoint = path is null ? new IPEndPoint(IPAddress.Loopback, FreePort.Next()) : new UnixDomainSocketEndPoint(path);
        Start();
    }

    /// <summary>Where it listens.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>The TCP port.</summary>
    public int Port => ((IPEndPoint)EndPoint).Port;

    /// <summary>Connections so far.</summary>
    public int Connections { get; private set; }

    /// <summary>The most connections that were open at a time.</summary>
    public int MostOpen { get; private set; }

    /// <summary>What was asked for, as the serving function noted it.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (_lock)
            {
                return [.. _requests];
            }
        }
    }

    /// <summary>Notes a request, and waits while the server is held.</summary>
    public Task NoteAsync(string request)
    {
        lock (_lock)
        {
            _requests.Add(request);
            return _held?.Task ?? Task.CompletedTask;
        }
    }

    /// <summary>From now on requests are not answered.</summary>
    public void Hold()
    {
        lock (_lock)
        {
            _held ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Answers what waits, and what comes.</summary>
    public void Release()
    {
        TaskCompletionSource? held;
        lock (_lock)
        {
            held = _held;
            _held = null;
        }

        held?.SetResult();
    }

    /// <summary>Listens again.</summary>
    public void Start()
    {
        Socket listener = EndPoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (EndPoint is IPEndPoint)
        {
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        }

        listener.Bind(EndPoint);
        listener.Listen(128);
        _listener = listener;
        _tasks.Add(AcceptAsync(listener));
    }

    /// <summary>Stops listening and ends every connection.</summary>
    public async Task StopAsync()
    {
        lock (_lock)
        {
            End(_listener);
            _listener = null;
        }

        if (EndPoint is UnixDomainSocketEndPoint)
        {
            File.Delete(EndPoint.ToString()!);
        }

        CloseConnections();
        Release();
        await Task.WhenAll(_tasks);
        _tasks.Clear();
    }

    /// <summary>Ends every connection, and goes on listening.</summary>
    public void CloseConnections()
    {
        lock (_lock)
        {
            foreach (Socket socket in _open)
            {
                End(socket);
            }

            _open.Clear();
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    // A process that another test is just starting has a copy of every descriptor until its exec: closing ours would leave the
    // kernel at the port, or the connection open, for as long.
    private static void End(Socket? socket)
    {
        try
        {
            socket?.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException)
        {
            // The other end has gone already.
        }

        socket?.Dispose();
    }

    private async Task AcceptAsync(Socket listener)
    {
        var serving = new List<Task>();
        while (true)
        {
            try
            {
                Socket client = await listener.AcceptAsync();
                lock (_lock)
                {
                    if (listener != _listener)
                    {
                        // Taken just before the stop, which ends all it knows of.
                        client.Dispose();
                        break;
                    }

                    _open.Add(client);
                    Connections++;
                    MostOpen = Math.Max(MostOpen, _open.Count);
                }

                serving.Add(ServeAsync(client));
            }
            catch (Exception end) when (end is SocketException or ObjectDisposedException)
            {
                break;
            }
        }

        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(Socket client)
    {
        await using var stream = new NetworkStream(client, ownsSocket: true);
        try
        {
            await _serve(stream, this);
        }
        catch (Exception end) when (end is IOException or SocketException or ObjectDisposedException)
        {
        }

        lock (_lock)
        {
            _open.Remove(client);
        }
    }
}
