using System.Net;
using System.Runtime.InteropServices;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>
/// A TCP connection on an event loop. A receive or send that would block is completed on the loop's thread, and what awaited
/// it goes on there. May be used from any thread; all system calls are made under its lock, so that a descriptor is never used
/// after it was closed and given out again.
/// <para>An orderly close sends what was written, ends our half, and discards what the peer still sends for a moment:
/// closing with unread input would make the kernel send a reset, which destroys the reply on its way.</para>
/// </summary>
internal sealed class EventLoopConnection : IConnection, IWatched
{
    private const int DiscardLimit = 1 << 20;

    /// <summary>
    /// Bytes that a connection may receive without going back to its loop: one that sends as fast as it can must not keep the
    /// others waiting for more than a fraction of a millisecond.
    /// </summary>
    private const int Share = 512 << 10;

    private static readonly TimeSpan DiscardTime = TimeSpan.FromMilliseconds(500);

    private readonly EventLoop _loop;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly EventLoopWaiter _receiving;
    private readonly EventLoopWaiter _sending;
    private readonly GCHandle _handle;
    private readonly int _descriptor;
    private Memory<byte> _buffer;
    private ReadOnlyMemory<byte> _bytes;
    private int _share = Share;
    private bool _readable = true;
    private bool _peerEnded;
    private bool _connected;
    private bool _closed;
    private int _disposed;

    /// <summary>Takes a connected, or a connecting, descriptor over.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel has no room for it; the descriptor is then still the caller's.</exception>
    public EventLoopConnection(EventLoop loop, TimeProvider time, int descriptor, EndPoint remote, EndPoint local)
    {
        (_loop, _time, _descriptor) = (loop, time, descriptor);
        (RemoteEndPoint, LocalEndPoint) = (remote, local);
        _receiving = new EventLoopWaiter(loop);
        _sending = new EventLoopWaiter(loop);
        SocketCalls.SendAtOnce(descriptor);
        _handle = loop.Watch(descriptor, this);
    }

    public EndPoint RemoteEndPoint { get; }

    public EndPoint LocalEndPoint { get; private set; }

    public SynchronizationContext? Context => _loop;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        lock (_gate)
        {
            int count = TryReceive(buffer);
            if (count != -Errno.TryAgain)
            {
                return count >= 0 ? ValueTask.FromResult(count) : ValueTask.FromException<int>(Failure(-count));
            }

            _buffer = buffer;
            return _receiving.Begin(cancellationToken);
        }
    }

    public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        lock (_gate)
        {
            int result = TrySend(ref bytes);
            if (result != -Errno.TryAgain)
            {
                return result >= 0 ? ValueTask.CompletedTask : ValueTask.FromException(Failure(-result));
            }

            _bytes = bytes;
            return _sending.BeginVoid(cancellationToken);
        }
    }

    public void Abort() => Close(reset: true);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        bool unread;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            SocketCalls.EndSending(_descriptor);
            unread = SocketCalls.Available(_descriptor) > 0;
        }

        if (unread)
        {
            await DiscardInputAsync();
        }

        Close(reset: false);
    }

    /// <summary>Waits until a connect that was begun has an outcome; 0 or the errno.</summary>
    public async ValueTask<int> ConnectedAsync(IPEndPoint family, CancellationToken cancellationToken)
    {
        ValueTask wait = default;
        lock (_gate)
        {
            if (!_connected)
            {
                _bytes = default;
                wait = _sending.BeginVoid(cancellationToken);
            }
        }

        await wait;
        lock (_gate)
        {
            if (_closed)
            {
                return Errno.BrokenPipe;
            }

            LocalEndPoint = SocketCalls.LocalEndPoint(_descriptor, family);
            return SocketCalls.PendingError(_descriptor);
        }
    }

    void IWatched.Happened(uint events)
    {
        int received = -Errno.TryAgain;
        int sent = -Errno.TryAgain;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _share = Share;
            _readable |= (events & (SocketCalls.Readable | SocketCalls.Failed)) != 0;
            _peerEnded |= (events & SocketCalls.Failed) != 0;
            _connected |= (events & (SocketCalls.Writable | SocketCalls.Failed)) != 0;

            // Taken before the call: bytes must not be received for somebody who was cancelled meanwhile.
            if (_readable && _receiving.TryTake())
            {
                received = TryReceive(_buffer);
                if (received == -Errno.TryAgain)
                {
                    _receiving.GiveBack();
                }
            }

            if ((events & (SocketCalls.Writable | SocketCalls.Failed)) != 0 && _sending.TryTake())
            {
                sent = TrySend(ref _bytes);
                if (sent == -Errno.TryAgain)
                {
                    _sending.GiveBack();
                }
            }
        }

        Complete(_receiving, received);
        Complete(_sending, sent);
    }

    // Under the lock.
    private int TryReceive(Memory<byte> buffer)
    {
        if (_closed)
        {
            return -Errno.BrokenPipe;
        }

        if (!_readable)
        {
            return -Errno.TryAgain;
        }

        if (_share <= 0)
        {
            _share = Share;
            _loop.Post(static state => ((IWatched)state!).Happened(SocketCalls.Readable), this);
            return -Errno.TryAgain;
        }

        int count;
        do
        {
            count = SocketCalls.Receive(_descriptor, buffer.Span);
        }
        while (count == -Errno.Interrupted);
        _share -= Math.Max(count, 0);

        // Less than asked for: the kernel has no more, and will tell when it has. After the peer's end it tells nothing any more.
        if (count == -Errno.TryAgain || (count > 0 && count < buffer.Length && !_peerEnded))
        {
            _readable = false;
        }

        return count;
    }

    // Under the lock.
    private int TrySend(ref ReadOnlyMemory<byte> bytes)
    {
        if (_closed)
        {
            return -Errno.BrokenPipe;
        }

        while (bytes.Length > 0)
        {
            int count = SocketCalls.Send(_descriptor, bytes.Span);
            if (count >= 0)
            {
                bytes = bytes[count..];
            }
            else if (count != -Errno.Interrupted)
            {
                return count;
            }
        }

        return 0;
    }

    private static void Complete(EventLoopWaiter waiter, int result)
    {
        if (result >= 0)
        {
            waiter.SetResult(result);
        }
        else if (result != -Errno.TryAgain)
        {
            waiter.SetException(Failure(-result));
        }
    }

    private static IOException Failure(int errno) => errno == Errno.BrokenPipe
        ? new IOException("the connection is closed")
        : new IOException("the connection is broken", SocketCalls.Exception(errno));

    private void Close(bool reset)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            _loop.Forget(_descriptor, _handle);
            if (reset)
            {
                SocketCalls.Reset(_descriptor);
            }
            else
            {
                SocketCalls.Close(_descriptor);
            }
        }

        _receiving.Fail(Failure(Errno.BrokenPipe));
        _sending.Fail(Failure(Errno.BrokenPipe));
    }

    private async ValueTask DiscardInputAsync()
    {
        using CancellationTokenSource deadline = new(DiscardTime, _time);
        byte[] scratch = System.Buffers.ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            for (int discarded = 0; discarded < DiscardLimit;)
            {
                int count = await ReceiveAsync(scratch, deadline.Token);
                if (count == 0)
                {
                    break;
                }

                discarded += count;
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
            // The peer is gone, or sends for too long: nothing is left to be orderly about.
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(scratch);
        }
    }
}
