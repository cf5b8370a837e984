using System.Net;

namespace Postwright.Core.Seams;

/// <summary>
/// The network as the mail system sees it: byte streams to and from end points. The real one uses sockets;
/// tests use an in-memory one. Names are resolved elsewhere (<see cref="IDnsResolver"/>), never here.
/// </summary>
public interface INetwork
{
    /// <summary>Opens a stream to <paramref name="remote"/>.</summary>
    /// <param name="remote">An <see cref="IPEndPoint"/>, or a unix-domain end point.</param>
    /// <param name="bindAddress">The local address to connect from (<c>smtp_bind_address</c>), or null for the system's choice.</param>
    /// <param name="cancellationToken">Ends the attempt; the caller's deadline is in it.</param>
    /// <exception cref="System.Net.Sockets.SocketException">The peer cannot be reached; the error code says why.</exception>
    ValueTask<IConnection> ConnectAsync(EndPoint remote, IPAddress? bindAddress, CancellationToken cancellationToken);

    /// <summary>
    /// Listens on <paramref name="local"/>; port 0 takes a free one. A unix-domain socket stands open for everybody who can
    /// reach its directory, replaces one that an earlier run left, and stays when the listener ends.
    /// </summary>
    /// <exception cref="System.Net.Sockets.SocketException">The address is in use or may not be bound.</exception>
    /// <exception cref="IOException">What is in a unix-domain socket's place cannot be replaced.</exception>
    IListener Listen(EndPoint local);
}

/// <summary>A listening end point.</summary>
public interface IListener : IAsyncDisposable
{
    /// <summary>Where it listens, with the port that was chosen.</summary>
    EndPoint LocalEndPoint { get; }

    /// <summary>The next client. Descriptor exhaustion is survived inside (with a pause), not thrown.</summary>
    ValueTask<IConnection> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>
/// One byte stream. One receive and one send may be pending at a time. A receive of 0 bytes is the peer's orderly end;
/// a broken connection is an <see cref="IOException"/>. Cancelling a receive leaves the stream usable.
/// </summary>
public interface IConnection : IAsyncDisposable
{
    /// <summary>The peer.</summary>
    EndPoint RemoteEndPoint { get; }

    /// <summary>Our side.</summary>
    EndPoint LocalEndPoint { get; }

    /// <summary>
    /// Where what awaits this connection goes on without a change of thread: a session begins there by a post. Null where it
    /// makes no difference.
    /// </summary>
    SynchronizationContext? Context => null;

    /// <summary>Receives what is there, at least one byte, or 0 at the end of the stream.</summary>
    ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Sends all of <paramref name="bytes"/>.</summary>
    ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Drops the connection at once; pending calls end with an <see cref="IOException"/>.</summary>
    void Abort();
}
