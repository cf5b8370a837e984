using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;

namespace Postwright.Testing.Network;

/// <summary>A connection's two ends, in memory. What one sends the other receives, in pieces of any size.</summary>
public sealed class MemoryConnection : IConnection
{
    // A sender waits when the peer does not read, as with a socket whose buffers are full.
    private const int Buffered = 65536;

    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly Counter _received;
    private readonly Counter _sent;
    private bool _gone;

    private MemoryConnection(PipeReader input, PipeWriter output, EndPoint remote, EndPoint local, Counter received, Counter sent)
    {
        _received = received;
        _sent = sent;
        _input = input;
        _output = output;
        RemoteEndPoint = remote;
        LocalEndPoint = local;
    }

    /// <inheritdoc />
    public EndPoint RemoteEndPoint { get; }

    /// <inheritdoc />
    public EndPoint LocalEndPoint { get; }

    /// <summary>A client's end and the server's end of one connection.</summary>
    public static (MemoryConnection Client, MemoryConnection Server) Pair(IPEndPoint client, IPEndPoint server)
    {
        PipeOptions options = new(
            pauseWriterThreshold: Buffered, resumeWriterThreshold: Buffered / 2, useSynchronizationContext: false,
            readerScheduler: PipeScheduler.ThreadPool, writerScheduler: PipeScheduler.ThreadPool);
        Pipe up = new(options);
        Pipe down = new(options);
        Counter upward = new();
        Counter downward = new();
        return (
            new MemoryConnection(down.Reader, up.Writer, server, client, downward, upward),
            new MemoryConnection(up.Reader, down.Writer, client, server, upward, downward));
    }

    /// <inheritdoc />
    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ThrowIfGone();
        _received.Waits = true;
        ReadResult result;
        try
        {
            result = await _input.ReadAsync(cancellationToken);
        }
        finally
        {
            _received.Waits = false;
        }

        ThrowIfGone();
        int count = (int)Math.Min(buffer.Length, result.Buffer.Length);
        System.Buffers.BuffersExtensions.CopyTo(result.Buffer.Slice(0, count), buffer.Span);
        _input.AdvanceTo(result.Buffer.GetPosition(count));
        Interlocked.Add(ref _received.Read, count);
        return count;
    }

    /// <inheritdoc />
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        ThrowIfGone();
        Interlocked.Add(ref _sent.Written, bytes.Length);
        FlushResult result = await _output.WriteAsync(bytes, cancellationToken);
        if (result.IsCompleted)
        {
            throw new IOException("the peer is gone", new SocketException((int)SocketError.ConnectionReset));
        }
    }

    /// <summary>True when the peer has taken everything that was sent, and waits for more.</summary>
    public bool PeerWaits => _sent.Waits && Interlocked.Read(ref _sent.Read) == Interlocked.Read(ref _sent.Written);

    /// <summary>Says that no more will be sent, and goes on receiving.</summary>
    public ValueTask EndSendingAsync() => _output.CompleteAsync();

    /// <inheritdoc />
    public void Abort()
    {
        _gone = true;
        _input.CancelPendingRead();
        _output.CancelPendingFlush();
        _output.Complete();
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        _gone = true;
        await _output.CompleteAsync();
        await _input.CompleteAsync();
    }

    private void ThrowIfGone()
    {
        if (_gone)
        {
            throw new IOException("the connection was dropped");
        }
    }

    private sealed class Counter
    {
        public volatile bool Waits;
        public long Written;
        public long Read;
    }
}
