using System.Runtime.InteropServices;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Lays one batch out: small records are copied side by side into one buffer, large contents are written from where they
/// are. The buffer is reused for every batch, so a commit allocates nothing.
/// </summary>
internal sealed class BatchBuilder
{
    /// <summary>Contents from here on are not copied: below it, a copy costs less than another vector.</summary>
    private const int CopyLimit = 16 << 10;

    /// <summary>A batch ends at this size: more would make the first waiter wait for bytes that are not its own.</summary>
    private const int MostBytes = 4 << 20;

    private static readonly byte[] Zeros = GC.AllocateArray<byte>(SegmentFormat.Page, pinned: true);

    private readonly List<ReadOnlyMemory<byte>> _parts = [];
    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(1 << 20, pinned: true);
    private int _used;
    private int _partStart;
    private Segment _segment = null!;
    private int _records;

    /// <summary>Bytes so far, padding left out.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes as written, a whole number of pages.</summary>
    public int PaddedLength => (int)SegmentFormat.Align(Length, SegmentFormat.Page);

    public IReadOnlyList<ReadOnlyMemory<byte>> Parts => _parts;

    /// <summary>Bytes that a batch with this record alone takes in a segment.</summary>
    public static long Alone(PendingRecord record) =>
        SegmentFormat.Align(SegmentFormat.BatchHeaderSize + record.Length, SegmentFormat.Page);

    /// <summary>Begins a batch that goes to the end of the segment.</summary>
    public void Begin(Segment segment)
    {
        _segment = segment;
        _parts.Clear();
        _records = 0;
        _partStart = 0;
        _used = Length = SegmentFormat.BatchHeaderSize;
    }

    /// <summary>Adds a record; false when it does not fit any more, which the first always does if the segment has room.</summary>
    public bool TryAdd(PendingRecord record)
    {
        int padded = SegmentFormat.AlignRecord(record.Length);
        bool copy = record.Content.Length < CopyLimit;
        int buffered = copy ? padded : padded - record.Content.Length;
        if (_records > 0 && (Length + padded > MostBytes || _used + buffered > _buffer.Length))
        {
            return false;
        }

        if (SegmentFormat.Align(Length + padded, SegmentFormat.Page) > _segment.End - _segment.Synced)
        {
            return false;
        }

        EnsureRoom(buffered);
        record.BatchOffset = Length;
        var header = new RecordHeader(record.Length, record.Type, record.QueueId.Length);
        SegmentFormat.WriteRecordHeader(_buffer.AsSpan(_used), _segment.Seed, _segment.Synced + Length, header, record.Checksum);
        _used += SegmentFormat.RecordHeaderSize;
        record.Head.CopyTo(_buffer.AsSpan(_used));
        _used += record.Head.Length;
        if (copy)
        {
            record.Content.Span.CopyTo(_buffer.AsSpan(_used));
            _used += record.Content.Length;
        }
        else
        {
            EndPart();
            _parts.Add(record.Content);
        }

        int padding = padded - record.Length;
        _buffer.AsSpan(_used, padding).Clear();
        _used += padding;
        Length += padded;
        _records++;
        return true;
    }

    /// <summary>Ends the batch: header in front, zeros up to the next page behind.</summary>
    public void Finish()
    {
        EndPart();
        int padding = PaddedLength - Length;
        if (padding > 0)
        {
            _parts.Add(MemoryMarshal.CreateFromPinnedArray(Zeros, 0, padding));
        }

        var header = new BatchHeader(_segment.Batches, _segment.Synced, Length, _records);
        SegmentFormat.WriteBatchHeader(_buffer, _segment.Header.Salt, _segment.Seed, _segment.Synced, header);
    }

    private void EnsureRoom(int count)
    {
        if (_buffer.Length - _used >= count)
        {
            return;
        }

        // Only the first record of a batch comes here (an envelope larger than the buffer), so no part points into it yet.
        byte[] larger = GC.AllocateUninitializedArray<byte>(_used + count, pinned: true);
        _buffer.AsSpan(0, _used).CopyTo(larger);
        _buffer = larger;
    }

    private void EndPart()
    {
        if (_used > _partStart)
        {
            _parts.Add(MemoryMarshal.CreateFromPinnedArray(_buffer, _partStart, _used - _partStart));
            _partStart = _used;
        }
    }
}
