using System.Buffers;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// Replies on their way out. Those to pipelined commands (RFC 2920) leave together, in one send, when the session must wait
/// for the client. The buffer is rented while there is something in it.
/// </summary>
internal sealed class ReplyBuffer(IConnection connection) : IDisposable
{
    private const int Size = 1024;
    private byte[]? _buffer;
    private int _length;

    /// <summary>True if nothing waits to be sent.</summary>
    public bool IsEmpty => _length == 0;

    /// <summary>True when it is time to send, whatever else is going on.</summary>
    public bool IsLarge => _length > 4096;

    /// <summary>Adds one reply line; CR LF is added here. Control characters become <c>?</c>, so that no text can end a reply.</summary>
    public void Add(string line)
    {
        Span<byte> room = Room(Encoding.UTF8.GetMaxByteCount(line.Length) + 2);
        int count = Encoding.UTF8.GetBytes(line, room);
        Span<byte> text = room[..count];
        if (text.ContainsAnyInRange((byte)0, (byte)31) || text.Contains((byte)127))
        {
            foreach (ref byte c in text)
            {
                c = c is < 32 or 127 ? (byte)'?' : c;
            }
        }

        room[count] = (byte)'\r';
        room[count + 1] = (byte)'\n';
        _length += count + 2;
    }

    /// <summary>Adds a complete line, CR LF included.</summary>
    public void Add(ReadOnlySpan<byte> line)
    {
        line.CopyTo(Room(line.Length));
        _length += line.Length;
    }

    /// <summary>Sends what waits.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_length > 0)
        {
            int length = _length;
            _length = 0;
            await connection.SendAsync(_buffer.AsMemory(0, length), cancellationToken);
            Dispose();
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (_buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = null;
            _length = 0;
        }
    }

    private Span<byte> Room(int count)
    {
        if (_buffer is null)
        {
            _buffer = ArrayPool<byte>.Shared.Rent(Math.Max(Size, count));
        }
        else if (_buffer.Length - _length < count)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + count));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        return _buffer.AsSpan(_length);
    }
}
