using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>
/// The network of the mail process: TCP on a few event loops, unix-domain sockets as <see cref="SocketNetwork"/> has them (the
/// control socket's long answers have no place on a loop). The loops begin with the first use, and live as long as the process.
/// </summary>
/// <param name="time">Measures the pauses and the closing wait.</param>
/// <param name="onBug">Told of an exception that reached a loop.</param>
/// <param name="loops">How many; a session is at one of them for its life.</param>
public sealed class EventLoopNetwork(TimeProvider time, Action<Exception> onBug, int loops) : INetwork
{
    private readonly SocketNetwork _sockets = new(time);
    private readonly Lazy<EventLoop[]> _loops = new(() => [.. Enumerable.Range(1, loops).Select(i => new EventLoop("loop", onBug))]);
    private int _turn;

    /// <inheritdoc />
    public async ValueTask<IConnection> ConnectAsync(EndPoint remote, IPAddress? bindAddress, CancellationToken cancellationToken)
    {
        if (remote is not IPEndPoint ip)
        {
            return await _sockets.ConnectAsync(remote, bindAddress, cancellationToken);
        }

        EventLoopConnection connection = Begin(ip, bindAddress);
        try
        {
            int errno = await connection.ConnectedAsync(ip, cancellationToken);
            if (errno != 0)
            {
                throw SocketCalls.Exception(errno);
            }

            return connection;
        }
        catch
        {
            connection.Abort();
            throw;
        }
    }

    /// <inheritdoc />
    public IListener Listen(EndPoint local) =>
        local is IPEndPoint ? new EventLoopListener(Next(), Next, time, SocketNetwork.NewListener(local)) : _sockets.Listen(local);

    /// <summary>Takes over a listening socket that was inherited (descriptors from 3 on, as systemd and master pass them).</summary>
    public IListener Adopt(int descriptor)
    {
        Socket socket = new(new SafeSocketHandle(descriptor, ownsHandle: true));
        return socket.LocalEndPoint is IPEndPoint ? new EventLoopListener(Next(), Next, time, socket) : new SocketListener(socket, time);
    }

    /// <summary>A thread of its own that runs what is posted to it, one after the other: a loop without connections.</summary>
    /// <param name="name">The thread's name.</param>
    public SynchronizationContext NewContext(string name) => new EventLoop(name, onBug);

    private EventLoop Next() => _loops.Value[(uint)Interlocked.Increment(ref _turn) % (uint)loops];

    private EventLoopConnection Begin(IPEndPoint remote, IPAddress? bindAddress)
    {
        int descriptor = SocketCalls.NewSocket(remote.AddressFamily);
        if (descriptor < 0)
        {
            throw SocketCalls.Exception(-descriptor);
        }

        try
        {
            int result = bindAddress is null ? 0 : SocketCalls.Bind(descriptor, new IPEndPoint(bindAddress, 0));
            result = result < 0 ? result : SocketCalls.Connect(descriptor, remote);
            if (result < 0 && result != -Errno.InProgress)
            {
                throw SocketCalls.Exception(-result);
            }

            // Watched only now: the kernel reports a socket that is not connecting as hung up. Who connects on a loop stays there.
            return new EventLoopConnection(EventLoop.OfThisThread ?? Next(), time, descriptor, remote, remote);
        }
        catch
        {
            SocketCalls.Close(descriptor);
            throw;
        }
    }
}
