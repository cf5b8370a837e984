using Postwright.Core.Logging;
using Postwright.Server.Cleanup;
using Postwright.Server.Deliver;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Report;
using Postwright.Server.Route;

namespace Postwright.Server.Queue;

// The queue manager decides what is delivered when. One loop owns all its state; everybody else posts to it and never
// waits for it. A turn of the loop takes what was posted, hands the records of all results to the store in one go, so that a
// thousand messages a turn cost one lock and one commit, brings messages into the active queue (load, resolve) and starts
// deliveries. Deliveries that touch nothing outside memory (discard, error, retry) run inside the turn.
//
// What is promised: a recipient is done only by a record; a notice is durable before the recipients it tells of are
// done; a message that no delivery answers for stays in the store and is tried again. The posted lists are bounded by
// what the store holds (IDs) and by the process limits (deliveries).

/// <summary>The scheduler: see the file's head. <see cref="RunAsync"/> must be called once.</summary>
public sealed partial class QueueManager : IQueueControl
{
    /// <summary>Messages that one turn activates at most, so that results and records of others are not kept waiting.</summary>
    private const int ActivationsPerTurn = 256;

    /// <summary>A day: further ahead than a timer is ever needed, and less than it can be set.</summary>
    private const double LongestTimerMilliseconds = 86_400_000;

    private readonly IMessageStore _store;
    private readonly IAddressResolver _resolver;
    private readonly IAddressRewriter _rewriter;
    private readonly Func<string, TransportService?> _transports;
    private readonly TimeProvider _time;
    private readonly MailLog _log;
    private volatile QueueManagerOptions _options;
    private volatile ReportOptions _reports;
    private volatile DeliveryLog _deliveryLog;

    private readonly Lock _gate = new();
    private readonly WakeSignal _signal = new();
    private List<string> _arrived = [];
    private List<Delivery> _finished = [];
    private List<Action> _commands = [];
    private volatile bool _timerFired;
    private TimeSpan _timerDue = TimeSpan.MaxValue;

    private List<string> _arrivedNow = [];
    private List<Delivery> _finishedNow = [];
    private List<Action> _commandsNow = [];
    private List<QueueChange> _changes = [];
    private DateTimeOffset _now;
    private TimeSpan _uptime;
    private long _begun;
    private CancellationToken _stop;
    private CancellationToken _giveUp;
    private ICleanup? _cleanup;
    private readonly HashSet<string> _requeuing = new(StringComparer.Ordinal);

    /// <summary>Makes a queue manager that does nothing until it is run.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="reports">Settings of notices.</param>
    /// <param name="store">The queue.</param>
    /// <param name="resolver">Chooses transport and next hop.</param>
    /// <param name="rewriter">Completes the members of aliases.</param>
    /// <param name="transports">The transport of a name; null if master.cf has none.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">With tag <c>postfix/qmgr</c>.</param>
    public QueueManager(
        QueueManagerOptions options,
        ReportOptions reports,
        IMessageStore store,
        IAddressResolver resolver,
        IAddressRewriter rewriter,
        Func<string, TransportService?> transports,
        TimeProvider time,
        MailLog log)
    {
        _options = options;
        _reports = reports;
        _store = store;
        _resolver = resolver;
        _rewriter = rewriter;
        _transports = transports;
        _time = time;
        _log = log;
        _deliveryLog = new DeliveryLog(time, options.DelayDecimals, options.SoftBounce);
    }

    /// <inheritdoc />
    public void Arrived(string queueId)
    {
        lock (_gate)
        {
            _arrived.Add(queueId);
        }

        Signal();
    }

    /// <summary>
    /// Runs until <paramref name="stop"/>; then waits for the deliveries under way, which get both tokens, and records
    /// what they did. What they did not decide is tried again after the next start.
    /// </summary>
    /// <param name="cleanup">Takes notices, and messages that go through the queue once more.</param>
    /// <param name="stop">Ends the run.</param>
    /// <param name="giveUp">Fires after <paramref name="stop"/>: see <see cref="DeliveryRequest.GiveUp"/>.</param>
    public async Task RunAsync(ICleanup cleanup, CancellationToken stop, CancellationToken giveUp)
    {
        _cleanup = cleanup;
        _notices = new Notices(_reports, _store, cleanup, _time, _log);
        _stop = stop;
        _giveUp = giveUp;
        _begun = _time.GetTimestamp();
        _now = _time.GetUtcNow();
        Restart();
        await using ITimer timer = _time.CreateTimer(static state => ((QueueManager)state!).TimerFired(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using CancellationTokenRegistration registration = stop.UnsafeRegister(static state => ((QueueManager)state!).Signal(), this);
        Signal();
        while (!stop.IsCancellationRequested || _working > 0)
        {
            await _signal.WaitAsync();
            try
            {
                Turn();
            }
            catch (Exception error)
            {
                // The schedule is in an unknown state: better no queue manager, which the process's owner sees, than a wrong one.
                _log.Panic($"queue manager: {error}");
                throw;
            }

            SetTimer(timer);
        }

        // What was in line stays in the store.
        foreach (ActiveMessage message in _active.Values)
        {
            message.Release();
        }
    }

    /// <summary>
    /// Goes over to other settings. Transports are asked for anew and dead destinations are forgotten; what is in line is routed
    /// once more. Deliveries under way end as they began, and count in the new limits.
    /// </summary>
    /// <param name="options">Settings.</param>
    /// <param name="reports">Settings of notices.</param>
    /// <param name="done">Run once no delivery begins under the former settings any more.</param>
    public void Reload(QueueManagerOptions options, ReportOptions reports, Action? done = null) => Post(() =>
    {
        _options = options;
        _reports = reports;
        _deliveryLog = new DeliveryLog(_time, options.DelayDecimals, options.SoftBounce);
        _notices = new Notices(reports, _store, _cleanup!, _time, _log);
        _unknownTransports.Clear();
        ReplaceTransports();
        Reroute();
        done?.Invoke();
    });

    private bool IsStopping => _stop.IsCancellationRequested;

    private void Signal() => _signal.Raise();

    /// <summary>A timer may fire a moment early by our clock, so it is set anew after each time, whatever the turn found.</summary>
    private void TimerFired()
    {
        _timerFired = true;
        Signal();
    }

    /// <summary>Has <paramref name="command"/> run by the loop.</summary>
    private void Post(Action command)
    {
        lock (_gate)
        {
            _commands.Add(command);
        }

        Signal();
    }

    private void Post(Delivery delivery)
    {
        lock (_gate)
        {
            _finished.Add(delivery);
        }

        Signal();
    }

    private void Turn()
    {
        lock (_gate)
        {
            (_arrived, _arrivedNow) = (_arrivedNow, _arrived);
            (_finished, _finishedNow) = (_finishedNow, _finished);
            (_commands, _commandsNow) = (_commandsNow, _commands);
        }

        _now = _time.GetUtcNow();
        _uptime = _time.GetElapsedTime(_begun);
        foreach (Delivery delivery in _finishedNow)
        {
            _working--;
            Finish(delivery);
        }

        // Before anybody looks at the store again: a flush or a requeue in this turn would find a settled recipient pending.
        WriteRecords();
        foreach (Action command in _commandsNow)
        {
            command();
            WriteRecords();
        }

        foreach (string queueId in _arrivedNow)
        {
            _incoming.Enqueue(queueId);
        }

        _finishedNow.Clear();
        _commandsNow.Clear();
        _arrivedNow.Clear();
        Wake();
        Feed();
        Dispatch();
        WriteRecords();
        if (CanFeed)
        {
            Signal();
        }
    }

    private void WriteRecords()
    {
        if (_changes.Count > 0)
        {
            List<QueueChange> changes = _changes;
            _changes = [];
            _ = _store.RecordAsync(changes);
        }
    }

    /// <summary>One timer for everything: it is set anew only when the earliest time of all changed.</summary>
    private void SetTimer(ITimer timer)
    {
        TimeSpan next = NextWake();
        if (next == _timerDue && !_timerFired)
        {
            return;
        }

        _timerFired = false;

        _timerDue = next;
        TimeSpan wait = next == TimeSpan.MaxValue
            ? Timeout.InfiniteTimeSpan
            : TimeSpan.FromMilliseconds(Math.Clamp(Math.Ceiling((next - _uptime).TotalMilliseconds), 1, LongestTimerMilliseconds));
        timer.Change(wait, Timeout.InfiniteTimeSpan);
    }
}
