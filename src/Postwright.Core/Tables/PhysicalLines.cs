namespace Postwright.Core.Tables;

/// <summary>The lines of a stream, one at a time, however much the stream holds.</summary>
/// <param name="content">The stream.</param>
/// <param name="limit">The most bytes that are read.</param>
internal sealed class PhysicalLines(Stream content, long limit)
{
    private byte[] _buffer = new byte[64 << 10];
    private int _start;
    private int _end;
    private int _length;
    private int _next;
    private long _count;
    private bool _ended;

    /// <summary>The line, without its newline; of a very long one the first <see cref="LogicalLines.MaxLength"/> bytes.</summary>
    public ReadOnlySpan<byte> Line => _buffer.AsSpan(_start, _length);

    /// <summary>Goes to the next line; false at the end.</summary>
    /// <exception cref="IOException">The stream cannot be read, or holds more than the limit.</exception>
    public bool MoveNext()
    {
        _start = _next;
        for (int searched = 0; ;)
        {
            int newline = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                _length = Math.Min(searched + newline, LogicalLines.MaxLength);
                _next = _start + searched + newline + 1;
                return true;
            }

            // What is beyond the longest line is passed over.
            _end = Math.Min(_end, _start + LogicalLines.MaxLength);
            searched = _end - _start;
            if (!Fill())
            {
                _length = searched;
                _next = _end;
                return searched > 0;
            }
        }
    }

    private bool Fill()
    {
        if (_ended)
        {
            return false;
        }

        if (_end == _buffer.Length)
        {
            int kept = _end - _start;
            byte[] room = kept > _buffer.Length / 2 ? new byte[_buffer.Length * 2] : _buffer;
            _buffer.AsSpan(_start, kept).CopyTo(room);
            _buffer = room;
            _start = 0;
            _end = kept;
        }

        int count = content.Read(_buffer, _end, _buffer.Length - _end);
        _count += count;
        if (_count > limit)
        {
            throw new IOException($"larger than {limit} bytes");
        }

        _end += count;
        _ended = count == 0;
        return count > 0;
    }
}
