using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The segment that is written to, and the way to the next one. The next is made ready in the background, so that a change
/// costs the writer a header. A segment whose write or sync failed is given up; nothing is ever added to it again.
/// <para>The last quarter of a segment is kept for changes while no other can be had, so that deliveries go on when the disk is
/// full. All calls are the writer's, but <see cref="Now"/>, which anybody reads under the gate.</para>
/// </summary>
internal sealed class CurrentSegment(SpoolOptions options, IDisk disk, MailLog log, Lock gate, SegmentPool pool, SpoolIndex index)
{
    private Task _preparing = Task.CompletedTask;

    /// <summary>The segment; null before the first and after a failure.</summary>
    public Segment? Now { get; private set; }

    /// <summary>Told, under no lock, when a segment is full or has lost its last message, or mail was refused: it is time to win space back.</summary>
    public Action? SpaceWanted { get; set; }

    /// <summary>Completes when nothing is being made ready.</summary>
    public Task Prepared => _preparing;

    /// <summary>Makes a segment ready in the background, unless one is.</summary>
    public void PrepareNext()
    {
        if (pool.Count == 0 && _preparing.IsCompleted)
        {
            _preparing = disk.OffloadAsync(() => pool.Prepare());
        }
    }

    /// <summary>Sees to room for <paramref name="bytes"/> of new mail beside the reserve; 0, or the errno of why there is none.</summary>
    public async ValueTask<int> EnsureRoomForMailAsync(long bytes)
    {
        long left = Now is null ? 0 : Now.End - Now.Synced;
        if (pool.Count > 0 || left - bytes - SegmentFormat.Page > options.SegmentBytes / 4)
        {
            return 0;
        }

        await _preparing;
        int errno = 0;
        if (pool.Count == 0)
        {
            await disk.OffloadAsync(() => errno = pool.Prepare());
        }

        return errno;
    }

    /// <summary>Sees to room for <paramref name="bytes"/>, in the next segment if need be; 0, or the errno of why there is none.</summary>
    public async ValueTask<int> EnsureRoomAsync(long bytes)
    {
        if (Now is { } current && current.End - current.Synced >= bytes)
        {
            return 0;
        }

        // A fresh one would have no room either, and the caller would ask for another without end.
        if (bytes > options.SegmentBytes - (2 * SegmentFormat.Page))
        {
            return DiskException.NoSpace;
        }

        await _preparing;
        Segment? fresh = null;
        int errno = 0;
        SyncProof[] proofs;
        lock (gate)
        {
            proofs = [.. index.Segments.Values.Select(static segment => new SyncProof(segment.Generation, segment.Synced, segment.TailCounts))];
        }

        bool announced = false;
        await disk.OffloadAsync(() => fresh = pool.Open(proofs, out errno, out announced));
        if (fresh is null)
        {
            if (announced)
            {
                // The header that says where the current segment ends may be on the disk.
                await LeaveAsync();
            }

            return errno;
        }

        lock (gate)
        {
            index.Segments[fresh.Generation] = fresh;
            Now = fresh;
        }

        PrepareNext();

        if (proofs.Length > 0)
        {
            // Also where the one before was given up with changes alone: nothing that leaves the queue will ask for its space.
            SpaceWanted?.Invoke();
        }

        return 0;
    }

    /// <summary>Gives the current segment up. One without a synced batch goes back to the free files.</summary>
    public async ValueTask AbandonAsync(int errno)
    {
        Segment failed = Now!;
        log.Warning($"spool: {new DiskException("write or sync of", failed.Path, errno).Message}; the segment is abandoned");
        if (failed.Batches > 0)
        {
            await LeaveAsync();
            return;
        }

        // As long as it is the current one, nobody else gives it back.
        bool isFree = pool.Recycle(failed, synced: false) == 0;
        lock (gate)
        {
            Now = null;
            if (isFree)
            {
                index.Segments.Remove(failed.Generation);
            }
        }
    }

    /// <summary>Gives the unused end of a segment that is not written to back; what fails is tried again when space is won back.</summary>
    public static void CutUnusedEnd(Segment segment, MailLog log)
    {
        try
        {
            segment.CutUnusedEnd();
        }
        catch (DiskException failure)
        {
            log.Warning($"spool: {failure.Message}");
        }
    }

    /// <summary>
    /// Nothing will be added to the current segment. Its unused end is given back at once: on a disk that is nearly full, the
    /// next one may need the room.
    /// </summary>
    private async ValueTask LeaveAsync()
    {
        if (Now is { HasUnusedEnd: true } left)
        {
            // As long as it is the current one, nobody closes it.
            await disk.OffloadAsync(() => CutUnusedEnd(left, log));
        }

        lock (gate)
        {
            Now = null;
        }
    }
}
