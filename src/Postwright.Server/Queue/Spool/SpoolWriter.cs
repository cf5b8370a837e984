using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The one writer of the log: group commit. It takes everything that waits, writes it as one batch, syncs once, and
/// completes all waiters; the next batch begins as soon as the last is done, never by a timer, so a batch is as large as
/// the load makes it. Changes that nobody waits for ride along, or are committed alone after a few milliseconds.
/// <para>What a commit is stands in <see cref="GroupCommit"/>, and what it writes to in <see cref="CurrentSegment"/>; here is who
/// waits, and when the next commit begins.</para>
/// </summary>
internal sealed class SpoolWriter : IDisposable
{
    /// <summary>A batch of at most this many records is written on the caller's thread, unless others came during the last one.</summary>
    private const int FewRecords = 2;

    /// <summary>
    /// A commit that takes longer goes to the disk's own thread the next time: the caller's may have other sessions to serve.
    /// </summary>
    private static readonly TimeSpan QuickCommit = TimeSpan.FromMilliseconds(2);

    private readonly SpoolOptions _options;
    private readonly TimeProvider _time;
    private readonly MailLog _log;
    private readonly Lock _gate;
    private readonly GroupCommit _commit;
    private readonly ITimer _timer;
    private WaitingList _waiting = new();
    private WaitingList _spare = new();
    private TaskCompletionSource? _idle;
    private bool _running;
    private bool _manyCame;
    private bool _isSlow;

    public SpoolWriter(SpoolOptions options, IDisk disk, TimeProvider time, MailLog log, Lock gate, SegmentPool pool, LogPublisher publisher, FreeSpace freeSpace)
    {
        (_options, _time, _log, _gate) = (options, time, log, gate);
        Segment = new CurrentSegment(options, disk, log, gate, pool, publisher.Index);
        _commit = new GroupCommit(options, log, gate, Segment, publisher, freeSpace);
        _timer = time.CreateTimer(static state => ((SpoolWriter)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>What is written to.</summary>
    public CurrentSegment Segment { get; }

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

    /// <summary>Completes when everything put in line so far is durable or refused; true if no change was refused.</summary>
    public Task<bool> FlushAsync()
    {
        Task<bool> task;
        bool start;
        lock (_gate)
        {
            if (!_running && _waiting.Records.Count == 0 && !_commit.HasRetries)
            {
                return Task.FromResult(true);
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
        await Segment.Prepared;
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
            if (_running || (_waiting.Records.Count == 0 && !_commit.HasRetries))
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
                long begun = _time.GetTimestamp();
                await _commit.CommitAsync(list, first && list.Records.Count <= FewRecords && !_manyCame && !_isSlow);
                _isSlow = _time.GetElapsedTime(begun) > QuickCommit;
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
                else if (_commit.HasRetries && !list.TimerSet)
                {
                    list.TimerSet = true;
                    _timer.Change(_options.RetryDelay, Timeout.InfiniteTimeSpan);
                }

                return null;
            }

            _waiting = _spare;
            _commit.MoveRetries(list);
            return list;
        }
    }
}
