using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Wins space back. What is still needed of the emptiest segments is written anew at the end of the log: live messages with
/// their state, the state of live messages that stand elsewhere, and removals whose message may still be found in a segment
/// that can be read. A segment gets its next life only after, in this order: the copies are synced, a snapshot that does
/// not refer to it is synced, it is renamed and the directory is synced.
/// <para>One pass at a time. What it copies is bounded by spool_compaction_rate.</para>
/// </summary>
internal sealed class SpoolCompactor(
    SpoolOptions options, IDisk disk, TimeProvider time, SpoolIndex index, Lock gate, SpoolWriter writer, SegmentPool pool, SegmentCopier copier, SnapshotTaker snapshots, MailLog log)
{
    private static readonly TimeSpan ReaderWait = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// Until pickup has looked at its directory after a start, files may be there whose messages are delivered: a power cut brings
    /// back what was removed. Pickup looks every minute; so long, with room, whose files they were is saved before it is forgotten.
    /// </summary>
    private static readonly TimeSpan EarlyTime = TimeSpan.FromMinutes(5);

    private readonly long _opened = time.GetTimestamp();
    private readonly List<Segment> _emptied = [];
    private volatile IReadOnlyList<IndexEntry> _untrusted = [];

    /// <summary>Everything that recovery did not trust has been written anew.</summary>
    public bool IsSecured => _untrusted.Count == 0;

    /// <summary>What recovery found where it is not trusted: written anew before any segment is recycled.</summary>
    public void Distrust(IReadOnlyList<IndexEntry> entries) => _untrusted = entries;

    /// <summary>Empties and recycles what is worth it, and saves the index where that is due.</summary>
    public async Task PassAsync(CancellationToken stopping)
    {
        await CutUnusedEndsAsync();
        await RecycleLeavingAsync(stopping);
        if (!await SecureAsync(stopping))
        {
            return;
        }

        var tried = new HashSet<uint>();
        while (!stopping.IsCancellationRequested && Choose(tried) is { } segment)
        {
            tried.Add(segment.Generation);
            if (await EmptyAsync(segment, stopping))
            {
                _emptied.Add(segment);
            }
        }

        if (stopping.IsCancellationRequested)
        {
            return;
        }

        if ((IsSnapshotDue() || MayForgetKeys()) && !await snapshots.TakeAsync())
        {
            return;
        }

        foreach (Segment segment in _emptied.ToArray())
        {
            // One that the newest snapshot does not know was filled after it: its rows are in the log behind the position.
            if (!segment.InSnapshot || snapshots.LastGeneration > segment.Generation)
            {
                await RecycleAsync(segment, stopping);
            }
        }
    }

    /// <summary>Those of which the writer could not do it, and those that an earlier run has left.</summary>
    private async Task CutUnusedEndsAsync()
    {
        Segment[] segments;
        lock (gate)
        {
            segments = [.. index.Segments.Values.Where(s => s != writer.Segment.Now && !s.IsLeaving && s.HasUnusedEnd)];
        }

        foreach (Segment segment in segments)
        {
            await disk.OffloadAsync(() => CurrentSegment.CutUnusedEnd(segment, log));
        }
    }

    /// <summary>
    /// Those that were to go already, and could not. Nothing else need be done for that, so there may be room again although
    /// nothing can be written for want of it.
    /// </summary>
    private async Task RecycleLeavingAsync(CancellationToken stopping)
    {
        Segment[] segments;
        lock (gate)
        {
            segments = [.. index.Segments.Values.Where(s => s != writer.Segment.Now && s.IsLeaving)];
        }

        foreach (Segment segment in segments)
        {
            await RecycleAsync(segment, stopping);
        }
    }

    private async Task<bool> SecureAsync(CancellationToken stopping)
    {
        if (_untrusted.Count == 0)
        {
            return true;
        }

        try
        {
            if (await copier.CopyAsync(_untrusted, stopping))
            {
                _untrusted = [];
                return true;
            }
        }
        catch (IOException failure)
        {
            log.Warning($"spool: {failure.Message}; what the last run left is not secured yet");
        }

        return false;
    }

    /// <summary>True when the last pass could not win back, or put off, what another may.</summary>
    public bool NeedsAnotherPass
    {
        get
        {
            lock (gate)
            {
                return _untrusted.Count > 0 || _emptied.Count > 0 || index.Segments.Values.Any(segment => segment != writer.Segment.Now && !segment.KeepForever
                    && (segment.IsLeaving || segment.HasUnusedEnd || (segment.LiveMessages == 0 && segment.LiveStates == 0)));
            }
        }
    }

    private bool MayForgetKeys()
    {
        lock (gate)
        {
            return _emptied.Count > 0 && index.HasUnsavedKeys && time.GetElapsedTime(_opened) < EarlyTime;
        }
    }

    private bool IsSnapshotDue()
    {
        lock (gate)
        {
            uint newest = index.Segments.Count == 0 ? 0 : index.Segments.Keys.Last();
            long waiting = _emptied.Count(segment => segment.InSnapshot) * options.SegmentBytes;
            return newest >= snapshots.LastGeneration + options.SnapshotSegments
                || (waiting > 0 && (waiting >= 2 * snapshots.LastBytes || pool.Count == 0));
        }
    }

    private Segment? Choose(HashSet<uint> tried)
    {
        lock (gate)
        {
            Segment[] sealedSegments = [.. index.Segments.Values.Where(s => s != writer.Segment.Now && !s.KeepForever && !tried.Contains(s.Generation) && !_emptied.Contains(s))];
            if (sealedSegments.FirstOrDefault(static s => s.LiveMessages == 0 && s.LiveStates == 0) is { } dead)
            {
                return dead;
            }

            // The size that they were made with, not what was written: one that was abandoned after a failed sync costs a file and
            // a place in every later header, however short it is.
            long used = sealedSegments.Sum(static s => s.Header.Size);
            long live = sealedSegments.Sum(static s => s.LiveBytes);
            if (used < (2 * live) + (2 * options.SegmentBytes) || sealedSegments.Length == 0)
            {
                return null;
            }

            // Copies must leave the reserve alone that deliveries need while the disk is full.
            Segment emptiest = sealedSegments.MinBy(static s => (double)s.LiveBytes / s.Header.Size)!;
            bool room = pool.Count > 0 || (writer.Segment.Now is { } current && current.End - current.Synced > emptiest.LiveBytes + (options.SegmentBytes / 4));
            return room && emptiest.LiveBytes < emptiest.Header.Size * 3 / 5 ? emptiest : null;
        }
    }

    private async Task<bool> EmptyAsync(Segment segment, CancellationToken stopping)
    {
        lock (gate)
        {
            bool foreign = segment.OldestForeign < segment.Generation && index.HasSegmentIn(segment.OldestForeign, segment.Generation - 1, segment.Generation);
            if (segment.LiveMessages == 0 && segment.LiveStates == 0 && !foreign)
            {
                return true;
            }
        }

        try
        {
            if (!await copier.CopyAsync(segment, stopping))
            {
                return false;
            }
        }
        catch (IOException failure)
        {
            log.Warning($"spool: {failure.Message}; segment {segment.Generation} is not emptied");
            return false;
        }

        lock (gate)
        {
            return segment.LiveMessages == 0 && segment.LiveStates == 0 && !segment.KeepForever;
        }
    }

    private async Task RecycleAsync(Segment segment, CancellationToken stopping)
    {
        while (true)
        {
            lock (gate)
            {
                if (segment.Readers == 0)
                {
                    break;
                }
            }

            if (stopping.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(ReaderWait, time, CancellationToken.None);
        }

        int errno = 0;
        await disk.OffloadAsync(() => errno = pool.Recycle(segment, synced: true));
        if (errno != 0)
        {
            log.Warning($"spool: {new DiskException("rename", segment.Path, errno).Message}; it is tried again");
            return;
        }

        _emptied.Remove(segment);
        lock (gate)
        {
            index.Segments.Remove(segment.Generation);
        }
    }
}
