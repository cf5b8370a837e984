namespace Postwright.Core.Records;

/// <summary>What reading a record from a stream gave.</summary>
public enum RecordReadStatus
{
    /// <summary>A record.</summary>
    Record,

    /// <summary>The stream ended between two records.</summary>
    EndOfStream,

    /// <summary>The stream ended inside a record, or what is there is none.</summary>
    Invalid,
}

/// <summary>
/// Reads records one after the other. The memory it takes is bounded by the longest record that is accepted. A record's
/// data is valid until the next read.
/// </summary>
/// <param name="stream">Where from; not disposed.</param>
/// <param name="maximumLength">The longest data of a record, in bytes; 0 for <see cref="AnyLength"/>.</param>
public sealed class RecordReader(Stream stream, int maximumLength)
{
    /// <summary>What a reader without a limit of its own accepts: message_size_limit's usual value is ten times smaller.</summary>
    public const int AnyLength = 100 << 20;

    private const int Step = 16 << 10;

    private readonly int _maximum = maximumLength > 0 ? maximumLength : AnyLength;
    private byte[] _buffer = new byte[Step];
    private int _start;
    private int _end;
    private int _data;
    private int _length;

    /// <summary>The type of the record that was read.</summary>
    public byte Type { get; private set; }

    /// <summary>Its data.</summary>
    public ReadOnlyMemory<byte> Data => _buffer.AsMemory(_data, _length);

    /// <summary>Where in the stream it began, in bytes from where reading began.</summary>
    public long Offset { get; private set; }

    /// <summary>Where the next one begins.</summary>
    public long NextOffset { get; private set; }

    /// <summary>Reads the next record.</summary>
    public RecordReadStatus Read()
    {
        RecordReadStatus? found;
        while ((found = Look()) is null)
        {
            int count = stream.Read(Room());
            if (count == 0)
            {
                return Ended();
            }

            _end += count;
        }

        return found.Value;
    }

    /// <summary>Reads the next record.</summary>
    public async ValueTask<RecordReadStatus> ReadAsync(CancellationToken cancellationToken)
    {
        RecordReadStatus? found;
        while ((found = Look()) is null)
        {
            int count = await stream.ReadAsync(RoomMemory(), cancellationToken);
            if (count == 0)
            {
                return Ended();
            }

            _end += count;
        }

        return found.Value;
    }

    /// <summary>Forgets what was buffered, after the stream was moved to <paramref name="offset"/>.</summary>
    public void MovedTo(long offset)
    {
        (_start, _end, NextOffset) = (0, 0, offset);
    }

    private RecordReadStatus? Look()
    {
        switch (RecordParser.TryRead(_buffer.AsSpan(_start, _end - _start), _maximum, out byte type, out int header, out int length))
        {
            case RecordStatus.Parsed:
                Type = type;
                (_data, _length) = (_start + header, length);
                _start += header + length;
                Offset = NextOffset;
                NextOffset += header + length;
                return RecordReadStatus.Record;
            case RecordStatus.Invalid:
                Offset = NextOffset;
                return RecordReadStatus.Invalid;
            default:
                return null;
        }
    }

    private RecordReadStatus Ended()
    {
        Offset = NextOffset;
        return _start == _end ? RecordReadStatus.EndOfStream : RecordReadStatus.Invalid;
    }

    private Span<byte> Room() => RoomMemory().Span;

    /// <summary>
    /// Space behind what is there. It grows with the bytes that came, by doubling, never to the length that a header claims:
    /// a short file that claims a long record costs nothing.
    /// </summary>
    private Memory<byte> RoomMemory()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        return _buffer.AsMemory(_end);
    }
}
