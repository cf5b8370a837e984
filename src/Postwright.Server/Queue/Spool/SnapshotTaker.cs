using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Takes a snapshot of the index while the spool runs. The gate is held only for some rows at a time; rows with a record
/// that is not on disk yet are written once it is.
/// </summary>
internal sealed class SnapshotTaker(SpoolOptions options, IDisk disk, SpoolIndex index, Lock gate, SpoolWriter writer, MailLog log)
{
    private const int RowsAtOnce = 500;
    private const int Rounds = 20;

    /// <summary>The newest segment when the last snapshot was taken.</summary>
    public uint LastGeneration { get; private set; }

    /// <summary>Bytes of the last snapshot.</summary>
    public long LastBytes { get; private set; }

    /// <summary>Writes a snapshot; false if the disk refused it, or rows changed faster than they became durable.</summary>
    public async Task<bool> TakeAsync()
    {
        IndexEntry[] rows;
        Segment[] segments;
        SnapshotPosition position;
        using var buffer = new RecordWriter();
        lock (gate)
        {
            rows = [.. index.Entries.Values];
            segments = [.. index.Segments.Values.Where(IsThereToStay)];
            if (segments.Length == 0)
            {
                return true;
            }

            position = new SnapshotPosition(segments[^1].Generation, segments[^1].Synced);
            SpoolSnapshot.Writer.Head(buffer, index, position);
            index.HasUnsavedKeys = false;
        }

        bool taken = await WriteAsync(rows, segments, position, buffer);
        if (!taken || LastGeneration != position.Generation)
        {
            lock (gate)
            {
                index.HasUnsavedKeys = true;
            }
        }

        return taken;
    }

    /// <summary>A start must find the segment that the position is in. One without a batch goes back to the free files if its first sync fails.</summary>
    private bool IsThereToStay(Segment segment) => !segment.IsLeaving && (segment != writer.Segment.Now || segment.Batches > 0);

    private async Task<bool> WriteAsync(IndexEntry[] rows, Segment[] segments, SnapshotPosition position, RecordWriter buffer)
    {
        try
        {
            SpoolSnapshot.Writer? snapshot = null;
            await disk.OffloadAsync(() => snapshot = new SpoolSnapshot.Writer(options, disk));
            using (snapshot)
            {
                await disk.OffloadAsync(() => snapshot!.Block(buffer));
                long count = 0;
                for (int round = 0; rows.Length > 0; round++)
                {
                    if (round == Rounds)
                    {
                        return false;
                    }

                    if (round > 0)
                    {
                        await writer.FlushAsync();
                    }

                    var pending = new List<IndexEntry>();
                    await disk.OffloadAsync(() => count += WriteRows(snapshot!, buffer, rows, pending));
                    rows = [.. pending];
                }

                await disk.OffloadAsync(() => snapshot!.Finish(buffer, count));
                LastBytes = snapshot!.Length;
            }
        }
        catch (DiskException failure)
        {
            log.Warning($"spool: {failure.Message}; the index is not saved");
            return DiskException.IsNoSpace(failure.Errno) && await DropAsync();
        }

        lock (gate)
        {
            LastGeneration = position.Generation;
            foreach (Segment segment in segments)
            {
                segment.InSnapshot = true;
            }
        }

        return true;
    }

    /// <summary>
    /// On a full disk the old snapshot must not keep the segments that it knows from being reused: without any, the next
    /// start reads the whole log.
    /// </summary>
    private async Task<bool> DropAsync()
    {
        try
        {
            await disk.OffloadAsync(() => SpoolSnapshot.Delete(options, disk));
        }
        catch (DiskException failure)
        {
            log.Warning($"spool: {failure.Message}");
            return false;
        }

        lock (gate)
        {
            LastGeneration = 0;
            foreach (Segment segment in index.Segments.Values)
            {
                segment.InSnapshot = false;
            }
        }

        return true;
    }

    private int WriteRows(SpoolSnapshot.Writer snapshot, RecordWriter buffer, IndexEntry[] rows, List<IndexEntry> pending)
    {
        int count = 0;
        for (int start = 0; start < rows.Length; start += RowsAtOnce)
        {
            lock (gate)
            {
                foreach (IndexEntry entry in rows.AsSpan(start, Math.Min(RowsAtOnce, rows.Length - start)))
                {
                    if (entry.Has(EntryFlags.Removed))
                    {
                        continue;
                    }

                    if (entry.PendingRecords > 0)
                    {
                        pending.Add(entry);
                        continue;
                    }

                    SnapshotRow.Write(buffer, entry);
                    count++;
                }
            }

            if (buffer.Length >= SpoolSnapshot.BlockBytes)
            {
                snapshot.Block(buffer);
            }
        }

        if (buffer.Length > 0)
        {
            snapshot.Block(buffer);
        }

        return count;
    }
}
