using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Network;

/// <summary>
/// One end of a simulated connection. What is sent arrives in order, whole or in pieces, at once or after the link's delay;
/// what is under way is lost when the link is cut, and goes nowhere, unnoticed, when it is half open.
/// </summary>
internal sealed class SimEnd : IConnection, IPeerCredentials
{
    // A sender waits when so much is under way and not received, as with full socket buffers.
    private const int Window = 64 << 10;

    private readonly SimLink _link;
    private readonly Queue<byte[]> _inbox = new();
    private int _headUsed;
    private long _inboxBytes;
    private bool _ended;
    private bool _reset;
    private bool _closed;
    private TaskCompletionSource<bool>? _wantsData;
    private TaskCompletionSource<bool>? _wantsRoom;

    public SimEnd(SimLink link, SimContext context, EndPoint local, EndPoint remote)
    {
        (_link, Context, LocalEndPoint, RemoteEndPoint) = (link, context, local, remote);
    }

    public SimContext Context { get; }

    public SimLink Link => _link;

    public SimEnd Peer => _link.Other(this);

    public EndPoint RemoteEndPoint { get; }

    public EndPoint LocalEndPoint { get; }

    PeerCredentials? IPeerCredentials.Peer => RemoteEndPoint is IPEndPoint ? null : new PeerCredentials(1, 0, 0);

    /// <summary>Bytes given to <see cref="SendAsync"/> so far.</summary>
    public long Sent { get; private set; }

    /// <summary>Bytes that the owner took so far.</summary>
    public long Received { get; private set; }

    public bool IsOver => _closed || _reset;

    /// <summary>When its owner closed it although the other end would have gone on, in ticks of the scheduler; never, if not so.</summary>
    public long LeftAt { get; private set; } = long.MaxValue;

    /// <summary>Sees what this end sends, before it is under way.</summary>
    public Action<SimEnd, ReadOnlyMemory<byte>>? Sending { get; set; }

    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ThrowIfGone();
            if (_inbox.TryPeek(out byte[]? head))
            {
                int count = Math.Min(buffer.Length, head.Length - _headUsed);
                head.AsSpan(_headUsed, count).CopyTo(buffer.Span);
                _headUsed += count;
                if (_headUsed == head.Length)
                {
                    _inbox.Dequeue();
                    _headUsed = 0;
                }

                _inboxBytes -= count;
                Received += count;
                Peer.Wake(ref Peer._wantsRoom);
                return count;
            }

            if (_ended)
            {
                return 0;
            }

            var wait = _wantsData = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            await using (cancellationToken.UnsafeRegister(static (state, token) => ((TaskCompletionSource<bool>)state!).TrySetCanceled(token), wait))
            {
                await wait.Task;
            }
        }
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfGone();
        Sending?.Invoke(this, bytes);
        ThrowIfGone();
        Sent += bytes.Length;
        _link.Carry(this, bytes.Span);
        while (_link.UnderWay(this) + Peer._inboxBytes > Window && !Peer.IsOver)
        {
            var wait = _wantsRoom = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            await using (cancellationToken.UnsafeRegister(static (state, token) => ((TaskCompletionSource<bool>)state!).TrySetCanceled(token), wait))
            {
                await wait.Task;
            }

            ThrowIfGone();
        }
    }

    public void Abort()
    {
        if (!_closed)
        {
            Close();
            _link.CarryReset(this);
        }
    }

    public ValueTask DisposeAsync()
    {
        if (!_closed)
        {
            Close();
            _link.CarryEnd(this);
        }

        return ValueTask.CompletedTask;
    }

    internal void Arrive(byte[] bytes)
    {
        if (_closed || _reset)
        {
            return;
        }

        _inbox.Enqueue(bytes);
        _inboxBytes += bytes.Length;
        Wake(ref _wantsData);
    }

    internal void ArriveEnd()
    {
        _ended = true;
        Wake(ref _wantsData);
    }

    internal void ArriveReset()
    {
        if (!_closed && !_reset)
        {
            _reset = true;
            _inbox.Clear();
            _inboxBytes = 0;
            Wake(ref _wantsData);
            Wake(ref _wantsRoom);
        }
    }

    private void Close()
    {
        if (!_reset && !_ended && !Peer.IsOver && !Context.IsDead)
        {
            LeftAt = _link.Now;
        }

        _closed = true;
        _link.Closed(this);
        Wake(ref _wantsData);
        Wake(ref _wantsRoom);
        Peer.Wake(ref Peer._wantsRoom);
    }

    private void Wake(ref TaskCompletionSource<bool>? waiter)
    {
        TaskCompletionSource<bool>? woken = waiter;
        waiter = null;
        woken?.TrySetResult(true);
    }

    private void ThrowIfGone()
    {
        if (_closed)
        {
            throw new IOException("the connection was dropped");
        }

        if (_reset)
        {
            throw new IOException("connection reset by peer", new SocketException((int)SocketError.ConnectionReset));
        }
    }
}
