using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>The network of this machine: TCP and unix-domain stream sockets.</summary>
/// <param name="timeProvider">Measures the pauses and the closing wait.</param>
public sealed class SocketNetwork(TimeProvider timeProvider) : INetwork
{
    /// <summary>Connections that the kernel holds while we are busy; the kernel caps it at net.core.somaxconn.</summary>
    private const int Backlog = 4096;

    /// <inheritdoc />
    public async ValueTask<IConnection> ConnectAsync(EndPoint remote, IPAddress? bindAddress, CancellationToken cancellationToken)
    {
        Socket socket = NewSocket(remote);
        try
        {
            if (bindAddress is not null)
            {
                socket.Bind(new IPEndPoint(bindAddress, 0));
            }

            await socket.ConnectAsync(remote, cancellationToken);
            return new SocketConnection(socket, timeProvider);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public IListener Listen(EndPoint local) => new SocketListener(NewListener(local), timeProvider);

    /// <summary>A socket that listens.</summary>
    /// <exception cref="SocketException">The address is in use or may not be bound.</exception>
    internal static Socket NewListener(EndPoint local)
    {
        Socket socket = NewSocket(local);
        try
        {
            if (local is IPEndPoint { AddressFamily: AddressFamily.InterNetworkV6 })
            {
                // An IPv4 client must show as one; inet_protocols opens a socket of its own for it.
                socket.DualMode = false;
            }

            if (local is UnixDomainSocketEndPoint unix)
            {
                PublicSocket.Listen(socket, unix.ToString(), Backlog);
                return socket;
            }

            // Bind sets SO_REUSEADDR for TCP. The option of that name here would set SO_REUSEPORT too: two servers could share
            // a port without noticing, and a unix-domain socket refuses it.
            socket.Bind(local);
            socket.Listen(Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static Socket NewSocket(EndPoint endPoint) => endPoint is UnixDomainSocketEndPoint
        ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        : new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
}

/// <summary>Accepts clients; a moment's lack of descriptors or memory is a pause, not an end.</summary>
internal sealed class SocketListener(Socket socket, TimeProvider timeProvider) : IListener
{
    private static readonly TimeSpan PauseWithoutDescriptors = TimeSpan.FromMilliseconds(100);

    public EndPoint LocalEndPoint { get; } = socket.LocalEndPoint!;

    public async ValueTask<IConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return new SocketConnection(await socket.AcceptAsync(cancellationToken), timeProvider);
            }
            catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
            {
                await Task.Delay(PauseWithoutDescriptors, timeProvider, cancellationToken);
            }
            catch (SocketException failure) when (failure.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Interrupted)
            {
                // The client was gone before we came to it.
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>
/// A connected stream socket. An orderly close sends what was written, ends our half, and discards what the peer still sends
/// for a moment: closing with unread input would make the kernel send a reset, which destroys the reply on its way.
/// </summary>
internal sealed class SocketConnection : IConnection, IPeerCredentials
{
    private const int SocketLevel = 1; // SOL_SOCKET
    private const int PeerCredentialsOption = 17; // SO_PEERCRED
    private const int DiscardLimit = 1 << 20;
    private static readonly TimeSpan DiscardTime = TimeSpan.FromMilliseconds(500);

    private readonly Socket _socket;
    private readonly TimeProvider _timeProvider;
    private int _closed;

    public SocketConnection(Socket socket, TimeProvider timeProvider)
    {
        _socket = socket;
        _timeProvider = timeProvider;
        RemoteEndPoint = socket.RemoteEndPoint!;
        LocalEndPoint = socket.LocalEndPoint!;
        if (socket.ProtocolType == ProtocolType.Tcp)
        {
            // Replies and pipelined commands go out whole; waiting for more to send would only add latency.
            socket.NoDelay = true;
        }
    }

    public EndPoint RemoteEndPoint { get; }

    public EndPoint LocalEndPoint { get; }

    public PeerCredentials? Peer
    {
        get
        {
            Span<int> credentials = stackalloc int[3];
            try
            {
                return _socket.AddressFamily == AddressFamily.Unix
                    && _socket.GetRawSocketOption(SocketLevel, PeerCredentialsOption, MemoryMarshal.AsBytes(credentials)) == 12
                    ? new PeerCredentials(credentials[0], (uint)credentials[1], (uint)credentials[2])
                    : null;
            }
            catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
            {
                return null;
            }
        }
    }

    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await _socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            throw new IOException(failure.Message, failure);
        }
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            while (bytes.Length > 0)
            {
                int sent = await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken);
                bytes = bytes[sent..];
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            throw new IOException(failure.Message, failure);
        }
    }

    public void Abort()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            _socket.Close(0);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
        {
            return;
        }

        try
        {
            _socket.Shutdown(SocketShutdown.Send);
            if (_socket.Available > 0)
            {
                await DiscardInputAsync();
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone: nothing is left to be orderly about.
        }

        _socket.Dispose();
    }

    private async ValueTask DiscardInputAsync()
    {
        using CancellationTokenSource deadline = new(DiscardTime, _timeProvider);
        byte[] scratch = System.Buffers.ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            for (int discarded = 0; discarded < DiscardLimit;)
            {
                int count = await _socket.ReceiveAsync(scratch.AsMemory(), SocketFlags.None, deadline.Token);
                if (count == 0)
                {
                    break;
                }

                discarded += count;
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(scratch);
        }
    }
}
