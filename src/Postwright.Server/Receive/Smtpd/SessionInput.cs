using System.Buffers;
using Postwright.Core.Seams;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// A session's receive buffer. An idle session waits with a few hundred bytes of its own, so that ten thousand cost little;
/// a larger buffer is rented for long commands and for content, and given back when it is empty.
/// </summary>
internal sealed class SessionInput(IConnection connection) : IDisposable
{
    // Most commands fit; a line that does not gets a rented buffer.
    private const int OwnSize = 512;

    /// <summary>For content: large enough that a kilobyte message comes in one read, small enough for a thousand at once.</summary>
    public const int ContentSize = 16384;

    // What a client that fills the buffer again and again gets: fewer calls for a large message.
    private const int LargestContentSize = 65536;

    private readonly byte[] _own = new byte[OwnSize];
    private byte[]? _rented;
    private int _start;
    private int _end;
    private bool _lineWasCut;
    private bool _takesContent;
    private bool _wantsMore;

    /// <summary>The bytes that wait.</summary>
    public ReadOnlyMemory<byte> Pending => new(Buffer, _start, _end - _start);

    /// <summary>Uses bytes up.</summary>
    public void Consume(int count)
    {
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
            _lineWasCut = false;
        }
    }

    private byte[] Buffer => _rented ?? _own;

    /// <summary>Receives more; false at the end of the stream.</summary>
    public async ValueTask<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        MakeRoom();
        int count = await connection.ReceiveAsync(Buffer.AsMemory(_end), cancellationToken);
        _end += count;
        _wantsMore = _takesContent && _end == Buffer.Length;
        return count > 0;
    }

    /// <summary>
    /// Takes a command line; false if it has no end yet. What exceeds <paramref name="limit"/> bytes is thrown away, as it
    /// arrives. The line is valid until the next receive.
    /// </summary>
    public bool TryTakeLine(int limit, out ReadOnlyMemory<byte> line, out bool bareLineFeed)
    {
        ReadOnlySpan<byte> pending = Pending.Span;
        int newline = pending.IndexOf((byte)'\n');
        if (newline < 0)
        {
            if (pending.Length > limit)
            {
                // Keep the beginning; the rest of the line is skipped.
                _end = _start + limit;
                _lineWasCut = true;
            }

            line = default;
            bareLineFeed = false;
            return false;
        }

        bool cut = _lineWasCut || newline > limit;
        int length = Math.Min(newline, limit);
        bareLineFeed = newline == 0 || pending[newline - 1] != '\r';
        if (!cut)
        {
            while (length > 0 && pending[length - 1] == '\r')
            {
                length--;
            }
        }

        line = Pending[..length];
        _start += newline + 1;
        _lineWasCut = false;
        return true;
    }

    /// <summary>Gets ready for content.</summary>
    public void Enlarge()
    {
        _takesContent = true;
        Rent(ContentSize);
    }

    /// <summary>Gives the large buffer back if what waits fits into the small one.</summary>
    public void Shrink()
    {
        _takesContent = false;
        if (_rented is not null && _end - _start <= OwnSize)
        {
            Buffer.AsSpan(_start, _end - _start).CopyTo(_own);
            _end -= _start;
            _start = 0;
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }

        _start = _end = 0;
    }

    private void MakeRoom()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == Buffer.Length && _start > 0)
        {
            Buffer.AsSpan(_start, _end - _start).CopyTo(Buffer);
            _end -= _start;
            _start = 0;
        }

        if (_wantsMore && _start == _end && Buffer.Length < LargestContentSize)
        {
            Rent(Buffer.Length * 2);
        }

        if (_end == Buffer.Length)
        {
            Rent(Math.Max(Buffer.Length * 2, 4096));
        }
    }

    private void Rent(int size)
    {
        if (Buffer.Length >= size)
        {
            return;
        }

        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        Buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        _end -= _start;
        _start = 0;
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
        }

        _rented = larger;
    }
}
