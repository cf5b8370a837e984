using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The one writer of the log: group commit. It takes everything that waits, writes it as one batch, syncs once, and
/// completes all waiters; the next batch begins as soon as the last is done, never by a timer, so a batch is as large as
/// the load makes it. Changes that nobody waits for ride along, or are committed alone after a few milliseconds.
/// <para>A failed write or sync: the segment is abandoned, the batch is written again to a new one, and only then
/// acknowledged; if that fails too, mail gets Failed (or NoSpace) and an Abort record, and changes are tried again later.
/// The last quarter of a segment is kept for changes while no other segment can be had, so that deliveries go on when the
/// disk is full.</para>
/// </summary>
internal sealed class SpoolWriter : IDisposable
{
    /// <summary>A batch of at most this many records is written on the caller's thread, unless others came during the last one.</summary>
    private const int FewRecords = 2;

    /// <summary>Changes that the disk refused and that are kept for another try; beyond it the oldest are dropped (a duplicate at worst).</summary>
    private const int MostRetries = 100_000;

    private readonly SpoolOptions _options;
    private readonly IDisk _disk;
    private readonly MailLog _log;
    private readonly Lock _gate;
    private readonly SegmentPool _pool;
    private readonly LogPublisher _publisher;
    private readonly FreeSpace _freeSpace;
    private readonly BatchBuilder _builder = new();
    private readonly ITimer _timer;
    private readonly List<PendingRecord> _retry = [];
    private WaitingList _waiting = new();
    private WaitingList _spare = new();
    private TaskCompletionSource? _idle;
    private Task _preparing = Task.CompletedTask;
    private bool _running;
    private bool _manyCame;
    private bool _failing;
    private int _mailErrno;

    public SpoolWriter(SpoolOptions options, IDisk disk, TimeProvider time, MailLog log, Lock gate, SegmentPool pool, LogPublisher publisher)
    {
        (_options, _disk, _log, _gate, _pool, _publisher) = (options, disk, log, gate, pool, publisher);
        _freeSpace = new FreeSpace(options, disk, time, log);
        _timer = time.CreateTimer(static state => ((SpoolWriter)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The segment that is written to; null before the first and after a failure.</summary>
    public Segment? Current { get; private set; }

    /// <summary>Told, under no lock, when a segment is full or mail was refused: it is time to win space back.</summary>
    public Action? SpaceWanted { get; set; }

    /// <summary>Puts a record in line. The gate is held.</summary>
    /// <returns>True if the caller must call <see cref="Run"/> once it has let go of the gate.</returns>
    public bool Enqueue(PendingRecord record, bool urgent)
    {
        _waiting.Records.Add(record);
        return Wake(urgent);
    }

    /// <summary>The task of all changes that wait now. The gate is held.</summary>
    public Task<bool> ChangesTask() => (_waiting.Changes ??= new TaskCompletionSource<bool>(_options.Continuations)).Task;

    /// <summary>Commits until nothing urgent waits. The first, small batch is written before this returns.</summary>
    public void Run() => _ = CommitLoopAsync();

    /// <summary>Completes when everything put in line so far is durable or refused.</summary>
    public Task FlushAsync()
    {
        Task task;
        bool start;
        lock (_gate)
        {
            if (!_running && _waiting.Records.Count == 0 && _retry.Count == 0)
            {
                return Task.CompletedTask;
            }

            task = ChangesTask();
            start = Wake(urgent: true);
        }

        if (start)
        {
            Run();
        }

        return task;
    }

    /// <summary>Makes a segment ready in the background, unless one is.</summary>
    public void PrepareNext()
    {
        if (_pool.Count == 0 && _preparing.IsCompleted)
        {
            _preparing = _disk.OffloadAsync(() => _pool.Prepare());
        }
    }

    /// <summary>Flushes, and waits until the loop has ended.</summary>
    public async Task StopAsync()
    {
        await FlushAsync();
        Task idle;
        lock (_gate)
        {
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            idle = _running ? (_idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task : Task.CompletedTask;
        }

        await idle;
        await _preparing;
    }

    /// <inheritdoc />
    public void Dispose() => _timer.Dispose();

    private bool Wake(bool urgent)
    {
        _waiting.Urgent |= urgent;
        if (_running)
        {
            return false;
        }

        if (urgent)
        {
            _running = true;
            return true;
        }

        if (!_waiting.TimerSet)
        {
            _waiting.TimerSet = true;
            _timer.Change(_options.LazyDelay, Timeout.InfiniteTimeSpan);
        }

        return false;
    }

    private void OnTimer()
    {
        lock (_gate)
        {
            _waiting.TimerSet = false;
            if (_running || (_waiting.Records.Count == 0 && _retry.Count == 0))
            {
                return;
            }

            _running = true;
            _waiting.Urgent = true;
        }

        Run();
    }

    private async Task CommitLoopAsync()
    {
        try
        {
            bool first = true;
            while (TakeWaiting() is { } list)
            {
                await CommitAsync(list, first && list.Records.Count <= FewRecords && !_manyCame);
                _manyCame = list.Records.Count > FewRecords;
                list.Changes?.SetResult(list.Refused == 0);
                list.Clear();
                _spare = list;
                first = false;
            }
        }
        catch (Exception bug)
        {
            // Nothing a disk does comes here. Going on could acknowledge what is not written, so the process ends.
            _log.Panic($"spool: {bug.Message}");
            Environment.FailFast("spool: the writer failed", bug);
        }
    }

    private WaitingList? TakeWaiting()
    {
        lock (_gate)
        {
            WaitingList list = _waiting;
            if (!list.Urgent)
            {
                _running = false;
                _idle?.TrySetResult();
                _idle = null;
                if (list.Records.Count > 0 && !list.TimerSet)
                {
                    list.TimerSet = true;
                    _timer.Change(_options.LazyDelay, Timeout.InfiniteTimeSpan);
                }
                else if (_retry.Count > 0 && !list.TimerSet)
                {
                    list.TimerSet = true;
                    _timer.Change(_options.RetryDelay, Timeout.InfiniteTimeSpan);
                }

                return null;
            }

            _waiting = _spare;
            if (_retry.Count > 0)
            {
                list.Records.InsertRange(0, _retry);
                _retry.Clear();
            }

            return list;
        }
    }

    private async ValueTask CommitAsync(WaitingList list, bool onCallersThread)
    {
        if (list.Records.Exists(static record => record.IsMail))
        {
            RefuseMail(list, await MailErrnoAsync(list));
        }

        for (int next = 0; next < list.Records.Count;)
        {
            if (list.Records[next].Outcome != StoreStatus.Stored)
            {
                list.Complete(next, ++next);
                continue;
            }

            int roomErrno = await EnsureRoomAsync(BatchBuilder.Alone(list.Records[next]));
            if (roomErrno != 0)
            {
                if (!_failing)
                {
                    _failing = true;
                    _log.Warning($"spool: {new DiskException("open the next segment in", _options.Directory, roomErrno).Message}");
                }

                Refuse(list, next, list.Records.Count, roomErrno, tried: false);
                return;
            }

            int end = LayOut(list, next);
            int written = await WriteAsync(list, next, end, onCallersThread);
            if (written == 0)
            {
                if (_failing)
                {
                    _failing = false;
                    _log.Info("spool: the disk takes records again");
                }

                _publisher.Publish(list.Records, next, end, Current!, _builder.PaddedLength);
            }
            else
            {
                // The rest too: a change must not overtake an earlier one of its message that is tried again later.
                Refuse(list, next, end, written, tried: true);
                list.Complete(next, end);
                Refuse(list, end, list.Records.Count, written, tried: false);
                return;
            }

            list.Complete(next, end);
            next = end;
        }
    }

    /// <summary>Why new mail cannot be taken now, 0 if it can: queue_minfree, or no segment left but the reserve.</summary>
    private async ValueTask<int> MailErrnoAsync(WaitingList list)
    {
        long bytes = 0;
        foreach (PendingRecord record in list.Records)
        {
            bytes += record.IsMail ? SegmentFormat.AlignRecord(record.Length) : 0;
        }

        if (!_freeSpace.IsEnough())
        {
            return DiskException.NoSpace;
        }

        long left = Current is null ? 0 : Current.End - Current.Synced;
        if (_pool.Count > 0 || left - bytes - SegmentFormat.Page > _options.SegmentBytes / 4)
        {
            return 0;
        }

        await _preparing;
        int errno = 0;
        if (_pool.Count == 0)
        {
            await _disk.OffloadAsync(() => errno = _pool.Prepare());
        }

        return errno;
    }

    private async ValueTask<int> EnsureRoomAsync(long bytes)
    {
        if (Current is { } current && current.End - current.Synced >= bytes)
        {
            return 0;
        }

        if (bytes > _options.SegmentBytes - (2 * SegmentFormat.Page))
        {
            return DiskException.NoSpace;
        }

        await _preparing;
        Segment? old = Current;
        Segment? fresh = null;
        int errno = 0;
        SyncProof[] proofs;
        lock (_gate)
        {
            proofs = [.. _publisher.Index.Segments.Values.Select(static segment => new SyncProof(segment.Generation, segment.Synced, segment.TailCounts))];
        }

        bool announced = false;
        await _disk.OffloadAsync(() => fresh = _pool.Open(proofs, out errno, out announced));
        if (fresh is null)
        {
            // The header that says where the current segment ends may be on the disk: nothing may be added to that segment.
            Current = announced ? null : Current;
            return errno;
        }

        lock (_gate)
        {
            _publisher.Index.Segments[fresh.Generation] = fresh;
            Current = fresh;
        }

        PrepareNext();
        if (old is not null)
        {
            SpaceWanted?.Invoke();
        }

        return 0;
    }

    private void RefuseMail(WaitingList list, int errno)
    {
        if (errno != _mailErrno)
        {
            // Once, not for every message: the log is often on the same disk.
            _mailErrno = errno;
            if (errno != 0)
            {
                _log.Warning($"spool: {new DiskException("no new mail is taken in", _options.Directory, errno).Message}");
            }
        }

        if (errno == 0)
        {
            return;
        }

        SpaceWanted?.Invoke();
        foreach (PendingRecord record in list.Records)
        {
            if (record.IsMail)
            {
                record.Outcome = DiskException.IsNoSpace(errno) ? StoreStatus.NoSpace : StoreStatus.Failed;
            }
        }
    }

    /// <summary>Puts as many records as fit into a batch, passing over mail that was refused.</summary>
    private int LayOut(WaitingList list, int next)
    {
        _builder.Begin(Current!);
        int end = next;
        for (; end < list.Records.Count; end++)
        {
            PendingRecord record = list.Records[end];
            if (record.Outcome == StoreStatus.Stored)
            {
                record.FirstTried = record.FirstTried == 0 ? Current!.Generation : record.FirstTried;
                if (!_builder.TryAdd(record))
                {
                    break;
                }
            }
        }

        _builder.Finish();
        return end;
    }

    private async ValueTask<int> WriteAsync(WaitingList list, int next, int end, bool onCallersThread)
    {
        int errno = await Current!.File.WriteAndSyncAsync(_builder.Parts, Current.Synced, onCallersThread);
        for (bool again = true; errno != 0; again = false)
        {
            Abandon(errno);
            if (!again)
            {
                return errno;
            }

            errno = await EnsureRoomAsync(_builder.PaddedLength);
            if (errno != 0)
            {
                return errno;
            }

            _builder.Begin(Current!);
            for (int i = next; i < end; i++)
            {
                if (list.Records[i].Outcome == StoreStatus.Stored)
                {
                    _builder.TryAdd(list.Records[i]);
                }
            }

            _builder.Finish();
            errno = await Current!.File.WriteAndSyncAsync(_builder.Parts, Current.Synced, onCallersThread: false);
        }

        return 0;
    }

    /// <summary>Gives the current segment up. One without a synced batch goes back to the free files.</summary>
    private void Abandon(int errno)
    {
        Segment failed = Current!;
        _failing = true;
        _log.Warning($"spool: {new DiskException("write or sync of", failed.Path, errno).Message}; the segment is abandoned");
        lock (_gate)
        {
            Current = null;
            if (failed.Batches > 0)
            {
                return;
            }
        }

        if (_pool.Recycle(failed, synced: false) == 0)
        {
            lock (_gate)
            {
                _publisher.Index.Segments.Remove(failed.Generation);
            }
        }
    }

    private void Refuse(WaitingList list, int next, int end, int errno, bool tried)
    {
        lock (_gate)
        {
            for (int i = next; i < end; i++)
            {
                PendingRecord record = list.Records[i];
                if (record.Outcome != StoreStatus.Stored)
                {
                    continue;
                }

                if (record.IsMail)
                {
                    record.Outcome = DiskException.IsNoSpace(errno) ? StoreStatus.NoSpace : StoreStatus.Failed;
                    if (tried)
                    {
                        _retry.Add(_publisher.MakeAbort(record.QueueId, record.FirstTried));
                    }
                }
                else
                {
                    record.Outcome = StoreStatus.Failed;
                    if (record.Done is null)
                    {
                        list.Refused++;
                        _retry.Add(record);
                    }
                }
            }

            if (_retry.Count > MostRetries)
            {
                _retry.RemoveRange(0, _retry.Count - MostRetries);
                _log.Warning("spool: the disk refuses records; the oldest changes are given up, deliveries may be repeated after a restart");
            }
        }

        if (!tried)
        {
            list.Complete(next, end);
        }
    }
}
