using System.Buffers;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Makes records visible once they are durable: new messages enter the index and the cache, rows learn where their newest
/// record is, and the file of a removed message's content is deleted. Called by the writer, in the order of the log.
/// </summary>
internal sealed class LogPublisher(SpoolIndex index, ContentCache cache, ContentFiles files, IDisk disk, Lock gate, MailLog log)
{
    private readonly List<(ulong Number, long Length)> _filesToDelete = [];
    private bool _emptied;

    public SpoolIndex Index { get; } = index;

    /// <summary>Publishes what a batch wrote.</summary>
    /// <param name="records">The list that the batch was laid out from.</param>
    /// <param name="next">Its first record of the batch.</param>
    /// <param name="end">The first behind the batch.</param>
    /// <param name="segment">Where it was written, at the end of what was synced.</param>
    /// <param name="length">How many bytes were written.</param>
    /// <returns>True if the last message of an older segment is gone: its space can be won back.</returns>
    public bool Publish(List<PendingRecord> records, int next, int end, Segment segment, long length)
    {
        _emptied = false;
        lock (gate)
        {
            // In one step with the rows: a snapshot's position must never be ahead of what it holds.
            long batchOffset = segment.Synced;
            segment.Synced += length;
            segment.Batches++;
            for (int i = next; i < end; i++)
            {
                if (records[i].Outcome == StoreStatus.Stored)
                {
                    Publish(records[i], segment, (int)batchOffset + records[i].BatchOffset);
                }
            }
        }

        if (_filesToDelete.Count > 0)
        {
            // Giving a large file's space back takes a while, and the next batch waits for this thread.
            (ulong Number, long Length)[] done = [.. _filesToDelete];
            _filesToDelete.Clear();
            _ = disk.OffloadAsync(() => Array.ForEach(done, one => files.GiveBack(one.Number, one.Length, log)));
        }

        return _emptied;
    }

    /// <summary>The record that keeps an unacknowledged message from coming back.</summary>
    public PendingRecord MakeAbort(string queueId, uint firstTried)
    {
        using var writer = new RecordWriter();
        PendingRecord.WriteId(writer, queueId);
        RecordFormat.WriteSpan(writer, firstTried, int.MaxValue);
        PendingRecord record = PendingRecord.Pool.Take();
        record.Set(PendingKind.Abort, queueId, writer, default);
        record.SpanFirst = firstTried;
        return record;
    }

    /// <summary>Settles the row of a record that is not tried any more. The gate is held.</summary>
    public void GiveUp(PendingRecord record)
    {
        switch (record.Kind)
        {
            case PendingKind.Copy or PendingKind.Changes or PendingKind.Status:
                record.Entry!.PendingRecords--;
                ForgetDelays(record.Entry);
                break;
            case PendingKind.Remove:
                Index.Unplace(record.Entry!);
                break;
        }
    }

    private void Publish(PendingRecord record, Segment segment, int offset)
    {
        switch (record.Kind)
        {
            case PendingKind.Append:
                PublishAppend(record, segment, offset);
                break;
            case PendingKind.Copy:
                PublishCopy(record, segment, offset);
                break;
            case PendingKind.Changes or PendingKind.Status:
                PublishChanges(record, segment, offset);
                break;
            case PendingKind.Remove:
                segment.AddForeign(record.Entry!.Origin);
                if (record.Entry.Extra is { ContentFile: > 0 } extra)
                {
                    _filesToDelete.Add((extra.ContentFile, record.Entry.Size));
                }

                (Segment? own, Segment? state) = (record.Entry.Segment, record.Entry.StateSegment);
                Index.Unplace(record.Entry);
                _emptied |= IsDead(own, segment) || IsDead(state, segment);
                break;
            default:
                segment.AddForeign(record.SpanFirst);
                break;
        }
    }

    private static bool IsDead(Segment? one, Segment current) => one is { LiveMessages: 0, LiveStates: 0 } && one != current;

    private void PublishAppend(PendingRecord record, Segment segment, int offset)
    {
        IndexEntry entry = record.Entry!;
        entry.Origin = record.FirstTried;
        Index.Place(entry, segment, offset, record.Length);
        Index.Add(entry);
        SharedBuffer? buffer = TakeContent(record.Owner!);
        if (cache.IsOn)
        {
            cache.Add(new CachedMessage(entry, record.Envelope!, buffer));
        }
        else
        {
            buffer?.Release();
        }
    }

    /// <summary>Takes a stored message's content over: its buffer for the cache, or nothing where it is in a file.</summary>
    private static SharedBuffer? TakeContent(MessageContent content)
    {
        switch (content)
        {
            case BufferedContent buffered:
                return buffered.Detach();
            case FileContent file:
                file.Adopt();
                file.Dispose();
                return null;
            default:
                content.TryGetMemory(out ReadOnlyMemory<byte> bytes);
                byte[] copy = ArrayPool<byte>.Shared.Rent(Math.Max(1, bytes.Length));
                bytes.CopyTo(copy);
                content.Dispose();
                return new SharedBuffer(copy, 0, bytes.Length);
        }
    }

    private void PublishCopy(PendingRecord record, Segment segment, int offset)
    {
        IndexEntry entry = record.Entry!;
        entry.PendingRecords--;
        if (entry.Has(EntryFlags.Removed))
        {
            return;
        }

        Index.Place(entry, segment, offset, record.Length);
        PublishState(record, segment, offset);
    }

    private void PublishChanges(PendingRecord record, Segment segment, int offset)
    {
        IndexEntry entry = record.Entry!;
        entry.PendingRecords--;
        segment.AddForeign(entry.Origin);
        if (entry.Has(EntryFlags.Removed))
        {
            return;
        }

        PublishState(record, segment, offset);
    }

    private void PublishState(PendingRecord record, Segment segment, int offset)
    {
        IndexEntry entry = record.Entry!;
        Index.DropExpansions(entry, record.ReplacedExpansions);
        if (record is { Kind: PendingKind.Status, Expansions: { } replacing })
        {
            entry.MakeExtra().Expansions = [.. replacing, .. entry.Extra!.Expansions];
        }

        foreach (Expansion expansion in record.Expansions ?? [])
        {
            Index.PlaceExpansion(expansion, segment, offset, record.Length);
        }

        if (record.HasDelays)
        {
            Index.PlaceState(entry, segment, offset, record.Length);
        }

        ForgetDelays(entry);
    }

    /// <summary>Once they are on the disk, they are read from there.</summary>
    private static void ForgetDelays(IndexEntry entry)
    {
        if (entry.PendingRecords == 0 && entry.Extra is { Cached: null } extra)
        {
            extra.Delays = null;
            entry.DropEmptyExtra();
        }
    }
}
