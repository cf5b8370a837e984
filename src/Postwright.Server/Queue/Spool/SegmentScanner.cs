using System.Buffers;
using System.Text;

namespace Postwright.Server.Queue.Spool;

/// <summary>Takes what a scan of a segment finds.</summary>
internal interface IScanSink
{
    /// <summary>A record whose checksum is right.</summary>
    void Record(Segment segment, RecordHeader header, ReadOnlySpan<byte> record, int offset);

    /// <summary>Bytes that were synced and are not what was written.</summary>
    /// <param name="segment">Where.</param>
    /// <param name="offset">Their first byte.</param>
    /// <param name="length">How many.</param>
    /// <param name="queueId">The message whose record it was, if its header can still be read.</param>
    void Damage(Segment segment, long offset, long length, string? queueId);
}

/// <summary>
/// Reads a segment's batches in order. What lies below the highest offset that can be proven synced (by a later batch, or
/// a later segment's header) and does not check is damage: it is reported, and every whole record behind it is still
/// found. What lies above can only be the last batch, torn: its whole records are kept, but behind a hole only messages,
/// since a change could miss the one before it; nothing in it was acknowledged.
/// </summary>
internal sealed class SegmentScanner(Segment segment, long proven, long scanEnd, IScanSink sink)
{
    private const int Window = 1 << 20;

    private readonly byte[] _header = new byte[SegmentFormat.BatchHeaderSize];
    private long _proven = proven;
    private long _nothingFrom = long.MaxValue;

    /// <summary>Up to where the segment is known to be synced; after the scan, the beginning of its last batch at least.</summary>
    public long Proven => _proven;

    /// <summary>Scans from an offset at which a batch begins.</summary>
    /// <returns>The end of the last batch that is whole: everything below may be called synced once the file is.</returns>
    /// <exception cref="Postwright.Core.Seams.DiskException">The disk failed.</exception>
    public long Scan(long start)
    {
        long offset = start;
        long whole = start;
        while (offset + SegmentFormat.BatchHeaderSize <= scanEnd)
        {
            if (TryReadBatch(offset, out BatchHeader batch))
            {
                bool isWhole = ScanBatch(offset, batch);
                offset += SegmentFormat.Align(batch.Length, SegmentFormat.Page);
                whole = isWhole || IsProven(offset - 1) ? offset : whole;
                segment.Batches++;
                continue;
            }

            long next = FindBatch(offset + SegmentFormat.Page);
            long end = next >= 0 ? next : scanEnd;
            if (next >= 0 || _proven > offset)
            {
                sink.Damage(segment, offset, (next >= 0 ? next : _proven) - offset, null);
                Salvage(offset, end, messagesOnly: false);
                whole = next >= 0 ? next : _proven;
            }
            else
            {
                Salvage(offset, end, messagesOnly: true);
            }

            offset = end;
        }

        return whole;
    }

    private bool IsProven(long offset) => _proven > offset || FindBatch(SegmentFormat.Align(offset + 1, SegmentFormat.Page)) >= 0;

    private bool TryReadBatch(long offset, out BatchHeader batch)
    {
        batch = default;
        if (segment.File.Read(_header, offset) < _header.Length
            || !SegmentFormat.TryReadBatchHeader(_header, segment.Header.Salt, segment.Seed, offset, out batch)
            || batch.Length > scanEnd - offset)
        {
            return false;
        }

        _proven = Math.Max(_proven, batch.SyncedBefore);
        return true;
    }

    /// <summary>Gives out a batch's records; false if some are not whole.</summary>
    private bool ScanBatch(long batchOffset, BatchHeader batch)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(batch.Length);
        try
        {
            int length = segment.File.Read(buffer.AsSpan(0, batch.Length), batchOffset);
            ReadOnlySpan<byte> bytes = buffer.AsSpan(0, length);
            int position = SegmentFormat.BatchHeaderSize;
            bool afterHole = false;
            while (position < batch.Length)
            {
                if (TryGive(bytes, position, batchOffset, afterHole, out int next, out string? queueId))
                {
                    position = next;
                    continue;
                }

                // Behind a bad body the next record is where the header says; behind a bad header it must be found.
                int found = next;
                while (found < batch.Length && !IsRecord(bytes, found, batchOffset))
                {
                    found += 8;
                }

                if (IsProven(batchOffset + SegmentFormat.Align(batch.Length, SegmentFormat.Page) - 1) || _proven > batchOffset)
                {
                    sink.Damage(segment, batchOffset + position, Math.Min(found, batch.Length) - position, queueId);
                }
                else
                {
                    afterHole = true;
                }

                position = found;
            }

            return !afterHole;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private bool IsRecord(ReadOnlySpan<byte> bytes, int position, long batchOffset) =>
        position < bytes.Length && MayBeHeader(bytes[position..])
        && SegmentFormat.TryReadRecordHeader(bytes[position..], segment.Seed, batchOffset + position, out RecordHeader header)
        && header.Length <= bytes.Length - position && SegmentFormat.IsBodyGood(bytes[position..], header);

    /// <summary>Gives a record out if it is whole; else says where to look for the next, and whose it was.</summary>
    private bool TryGive(ReadOnlySpan<byte> bytes, int position, long batchOffset, bool messagesOnly, out int next, out string? queueId)
    {
        next = position + 8;
        queueId = null;
        ReadOnlySpan<byte> rest = position < bytes.Length ? bytes[position..] : [];
        if (!SegmentFormat.TryReadRecordHeader(rest, segment.Seed, batchOffset + position, out RecordHeader header) || header.Length > rest.Length)
        {
            return false;
        }

        next = position + SegmentFormat.AlignRecord(header.Length);
        if (!SegmentFormat.IsBodyGood(rest, header))
        {
            string id = Encoding.Latin1.GetString(rest.Slice(SegmentFormat.RecordHeaderSize, header.IdLength));
            queueId = header.Type == RecordType.Message && QueueIds.IsValid(id) ? id : null;
            return false;
        }

        if (!messagesOnly || header.Type == RecordType.Message)
        {
            sink.Record(segment, header, rest[..header.Length], (int)(batchOffset + position));
        }

        return true;
    }

    /// <summary>The next page at which a batch begins, or -1.</summary>
    private long FindBatch(long from)
    {
        if (from >= _nothingFrom)
        {
            return -1;
        }

        byte[] window = ArrayPool<byte>.Shared.Rent(Window);
        try
        {
            for (long start = from; start < scanEnd; start += Window)
            {
                int length = segment.File.Read(window.AsSpan(0, (int)Math.Min(Window, scanEnd - start)), start);
                for (int page = 0; page + SegmentFormat.BatchHeaderSize <= length; page += SegmentFormat.Page)
                {
                    if (SegmentFormat.TryReadBatchHeader(window.AsSpan(page, length - page), segment.Header.Salt, segment.Seed, start + page, out BatchHeader batch)
                        && batch.Length <= scanEnd - start - page)
                    {
                        return start + page;
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(window);
        }

        _nothingFrom = from;
        return -1;
    }

    /// <summary>Finds whole records where no batch header can be read.</summary>
    private void Salvage(long from, long to, bool messagesOnly)
    {
        byte[] window = ArrayPool<byte>.Shared.Rent(Window + SegmentFormat.RecordHeaderSize);
        try
        {
            for (long offset = from; offset < to;)
            {
                int length = segment.File.Read(window.AsSpan(0, (int)Math.Min(Window + SegmentFormat.RecordHeaderSize, to - offset)), offset);
                int position = 0;
                for (; position + SegmentFormat.RecordHeaderSize <= length && position < Window; position += 8)
                {
                    ReadOnlySpan<byte> rest = window.AsSpan(position, length - position);
                    if (MayBeHeader(rest) && SegmentFormat.TryReadRecordHeader(rest, segment.Seed, offset + position, out RecordHeader header)
                        && header.Length <= to - offset - position && SalvageRecord(offset + position, header, messagesOnly))
                    {
                        position += SegmentFormat.AlignRecord(header.Length) - 8;
                    }
                }

                if (length <= SegmentFormat.RecordHeaderSize)
                {
                    return;
                }

                offset += position;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(window);
        }
    }

    private bool SalvageRecord(long offset, RecordHeader header, bool messagesOnly)
    {
        byte[] record = ArrayPool<byte>.Shared.Rent(header.Length);
        try
        {
            Span<byte> bytes = record.AsSpan(0, header.Length);
            if (segment.File.Read(bytes, offset) < header.Length || !SegmentFormat.IsBodyGood(bytes, header))
            {
                return false;
            }

            if (!messagesOnly || header.Type == RecordType.Message)
            {
                sink.Record(segment, header, bytes, (int)offset);
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(record);
        }
    }

    /// <summary>A cheap look before the checksum: most of what is searched is zeros.</summary>
    private static bool MayBeHeader(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= SegmentFormat.RecordHeaderSize && bytes[4] is >= (byte)RecordType.Message and <= (byte)RecordType.Abort
        && bytes[5] is > 0 and <= SegmentFormat.MostIdLength && bytes[6] == 0 && bytes[7] == 0;
}
