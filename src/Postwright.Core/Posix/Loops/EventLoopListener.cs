using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>Accepts TCP clients on an event loop, and deals them out to all loops in turn.</summary>
internal sealed class EventLoopListener : IListener, IWatched
{
    /// <summary>Clients accepted before other work of the loop comes to its turn.</summary>
    private const int Burst = 16;

    private static readonly TimeSpan PauseWithoutDescriptors = TimeSpan.FromMilliseconds(100);

    private readonly EventLoop _loop;
    private readonly Func<EventLoop> _next;
    private readonly TimeProvider _time;
    private readonly Socket _socket;
    private readonly IPEndPoint _local;
    private readonly Lock _gate = new();
    private readonly EventLoopWaiter _waiter;
    private readonly GCHandle _handle;
    private readonly int _descriptor;
    private int _burst = Burst;
    private bool _ready = true;
    private bool _closed;

    /// <summary>Takes a listening socket over.</summary>
    /// <param name="loop">Where clients are accepted.</param>
    /// <param name="next">The loop for the next client.</param>
    /// <param name="time">Measures the pauses and the closing wait.</param>
    /// <param name="socket">Listens.</param>
    public EventLoopListener(EventLoop loop, Func<EventLoop> next, TimeProvider time, Socket socket)
    {
        (_loop, _next, _time, _socket) = (loop, next, time, socket);
        _local = (IPEndPoint)socket.LocalEndPoint!;
        _descriptor = (int)socket.Handle;
        _waiter = new EventLoopWaiter(loop);
        SocketCalls.NeverBlock(_descriptor);
        _handle = loop.Watch(_descriptor, this);
    }

    public EndPoint LocalEndPoint => _local;

    public async ValueTask<IConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            switch (Accept(out EventLoopConnection? connection))
            {
                case -Errno.TryAgain:
                    await WaitAsync(cancellationToken);
                    break;
                case -Errno.TooManyDescriptors or -Errno.TooManyFiles or -Errno.NoMemory or -NoBuffers:
                    await Task.Delay(PauseWithoutDescriptors, _time, cancellationToken);
                    break;
                case >= 0:
                    return connection!;
                case -Errno.BadDescriptor:
                    throw new OperationCanceledException("the listener is closed");
                default:
                    // The client was gone before we came to it, or its network was.
                    break;
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_closed)
            {
                return ValueTask.CompletedTask;
            }

            _closed = true;
            _loop.Forget(_descriptor, _handle);
            _socket.Dispose();
        }

        _waiter.Fail(new OperationCanceledException("the listener is closed"));
        return ValueTask.CompletedTask;
    }

    void IWatched.Happened(uint events)
    {
        lock (_gate)
        {
            _ready = true;
            _burst = Burst;
        }

        if (_waiter.TryTake())
        {
            _waiter.SetResult(0);
        }
    }

    private const int NoBuffers = 105; // ENOBUFS

    private int Accept(out EventLoopConnection? connection)
    {
        connection = null;
        int descriptor;
        EndPoint remote;
        lock (_gate)
        {
            if (_closed)
            {
                return -Errno.BadDescriptor;
            }

            if (!_ready)
            {
                return -Errno.TryAgain;
            }

            if (--_burst < 0)
            {
                _loop.Post(static state => ((IWatched)state!).Happened(SocketCalls.Readable), this);
                _ready = false;
                return -Errno.TryAgain;
            }

            descriptor = SocketCalls.Accept(_descriptor, _local, out remote);
            if (descriptor == -Errno.TryAgain)
            {
                _ready = false;
            }
        }

        if (descriptor < 0)
        {
            return descriptor;
        }

        try
        {
            connection = new EventLoopConnection(_next(), _time, descriptor, remote, SocketCalls.LocalEndPoint(descriptor, _local));
            return descriptor;
        }
        catch (SocketException)
        {
            SocketCalls.Close(descriptor);
            return -Errno.NoMemory;
        }
    }

    private ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _ready ? ValueTask.CompletedTask : _waiter.BeginVoid(cancellationToken);
        }
    }
}
