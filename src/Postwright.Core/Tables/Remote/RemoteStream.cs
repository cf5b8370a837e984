using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Postwright.Core.Tables.Remote;

// The bytes of one connection, for the protocol readers: everything that is asked for is bounded by the one who asks, and
// every failure of the peer or the network is a RemoteFailure. What a peer sends unasked stays in the kernel.

/// <summary>A buffered, bounded byte stream to a server; for one question at a time.</summary>
internal sealed class RemoteStream : IDisposable
{
    private Stream _stream;
    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    private RemoteStream(Stream stream) => _stream = stream;

    /// <summary>True when nothing that came waits to be read.</summary>
    public bool IsDrained => _start == _end;

    /// <summary>Connects.</summary>
    /// <exception cref="RemoteFailure">Nobody answers.</exception>
    public static async ValueTask<RemoteStream> ConnectAsync(RemoteEndpoint endpoint, CancellationToken cancellationToken) =>
        new(new NetworkStream(await endpoint.ConnectAsync(cancellationToken), ownsSocket: true));

    /// <summary>Goes on under TLS.</summary>
    /// <exception cref="RemoteFailure">The handshake failed, or the certificate is not trusted.</exception>
    public async ValueTask StartTlsAsync(SslClientAuthenticationOptions options, CancellationToken cancellationToken)
    {
        if (!IsDrained)
        {
            // What came in the clear must not count as said under TLS.
            throw new RemoteFailure("data before the TLS handshake");
        }

        var tls = new SslStream(_stream);
        try
        {
            await tls.AuthenticateAsClientAsync(options, cancellationToken);
            _stream = tls;
        }
        catch (Exception failure) when (failure is IOException or AuthenticationException or SocketException)
        {
            await tls.DisposeAsync();
            throw new RemoteFailure($"TLS: {failure.Message}");
        }
        catch
        {
            await tls.DisposeAsync();
            throw;
        }
    }

    /// <summary>Sends all of <paramref name="bytes"/>.</summary>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await _stream.WriteAsync(bytes, cancellationToken);
            await _stream.FlushAsync(cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or SocketException or ObjectDisposedException)
        {
            throw new RemoteFailure($"write: {Reason(failure)}");
        }
    }

    /// <summary>The next <paramref name="count"/> bytes; valid until the next call.</summary>
    /// <exception cref="RemoteFailure">The connection ended before.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(int count, CancellationToken cancellationToken)
    {
        while (_end - _start < count)
        {
            await FillAsync(cancellationToken);
        }

        _start += count;
        return _buffer.AsMemory(_start - count, count);
    }

    /// <summary>The bytes up to a LF, without it; valid until the next call.</summary>
    /// <exception cref="RemoteFailure">The connection ended before, or the line is longer than <paramref name="limit"/>.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> ReadLineAsync(int limit, CancellationToken cancellationToken)
    {
        int seen = 0;
        while (true)
        {
            int at = _buffer.AsSpan(_start + seen, _end - _start - seen).IndexOf((byte)'\n');
            if (at >= 0 && seen + at < limit)
            {
                int length = seen + at;
                _start += length + 1;
                return _buffer.AsMemory(_start - length - 1, length);
            }

            seen = _end - _start;
            if (at >= 0 || seen >= limit)
            {
                throw new RemoteFailure($"reply line longer than {limit} bytes");
            }

            await FillAsync(cancellationToken);
        }
    }

    /// <summary>Drops the connection.</summary>
    public void Dispose() => _stream.Dispose();

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        if (_start > 0)
        {
            Buffer.BlockCopy(_buffer, _start, _buffer, 0, _end - _start);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            // Only a full buffer grows: a peer that announces a length does not make us allocate it.
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int count;
        try
        {
            count = await _stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or SocketException or ObjectDisposedException)
        {
            throw new RemoteFailure($"read: {Reason(failure)}");
        }

        if (count == 0)
        {
            throw new RemoteFailure("the server closed the connection");
        }

        _end += count;
    }

    private static string Reason(Exception failure) => (failure.InnerException ?? failure).Message;
}
