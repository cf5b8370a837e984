
namespace Postwright.Server.Queue.Scheduling;

// One next hop of one transport: the messages that wait for it, and how many deliveries it may have at a time. The
// concurrency follows SCHEDULER_README: it grows by the positive feedback of each delivery that reached the destination,
// shrinks by the negative feedback of each that did not, and after enough failed cohorts the destination is dead: what
// waits for it is deferred at once, and nothing is tried before minimal_backoff_time has passed.
//
// Times here and in TransportQueue count from the queue manager's start, by the monotonic clock: they hold for one process, and a
// wall clock that is set must neither close a destination nor open one.

/// <summary>A destination; touched by the queue manager's loop only.</summary>
internal sealed class Destination(TransportQueue transport, string key, string nextHop)
{
    private double _success;
    private double _failure = 1;
    private double _failedCohorts;

    /// <summary>The transport.</summary>
    public TransportQueue Transport => transport;

    /// <summary>Its name in the transport's dictionary: next hop, with the recipient in front where each is a destination.</summary>
    public string Key => key;

    /// <summary>As the delivery agent gets it.</summary>
    public string NextHop => nextHop;

    /// <summary>Messages with recipients that wait, taking turns.</summary>
    public Queue<Peer> Waiting { get; } = new(1);

    /// <summary>True while its first waiting peer stands in its job's ready list.</summary>
    public bool HasCandidate { get; set; }

    /// <summary>Deliveries under way.</summary>
    public int Busy { get; set; }

    /// <summary>How many deliveries may be under way; 0 when dead.</summary>
    public int Window { get; private set; } = InitialWindow(transport.Limits);

    /// <summary>Why it is dead, and until when; null when it is not.</summary>
    public DeadMark? Dead { get; private set; }

    /// <summary>Rate delay: no delivery begins before this time.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>IDs of messages that wait outside the active queue, since too much of it waits for this destination already.</summary>
    public Queue<string>? Parked { get; set; }

    /// <summary>How many of them are on their way back.</summary>
    public int Returning { get; set; }

    /// <summary>True when one more delivery may begin now.</summary>
    public bool IsOpen(TimeSpan now) => Dead is null && Busy < Window && NotBefore <= now;

    /// <summary>True when nothing is worth remembering.</summary>
    public bool IsIdle(TimeSpan now) =>
        Busy == 0 && Waiting.Count == 0 && Dead is null && NotBefore <= now && Parked is not { Count: > 0 };

    /// <summary>A delivery reached the destination.</summary>
    public void Succeeded()
    {
        TransportLimits limits = transport.Limits;
        _failedCohorts = 0;
        if (Dead is not null)
        {
            Revive();
        }

        int limit = limits.ConcurrencyLimit;
        if ((limit != 0 && Window >= limit) || Window >= Busy + limits.InitialConcurrency)
        {
            return;
        }

        double feedback = limits.PositiveFeedback.At(Window);
        _success += feedback;
        while (_success + (feedback / 2) >= 1)
        {
            Window++;
            _success--;
            _failure = 1;
        }

        if (limit != 0 && Window > limit)
        {
            Window = limit;
        }
    }

    /// <summary>A delivery did not reach the destination. True if it is dead now, and was not before.</summary>
    public bool Failed(string dsn, string reason, TimeSpan deadUntil)
    {
        if (Dead is not null)
        {
            return false;
        }

        TransportLimits limits = transport.Limits;
        _failedCohorts += 1.0 / Window;
        if (limits.FailedCohortLimit > 0 && _failedCohorts >= limits.FailedCohortLimit)
        {
            Dead = new DeadMark(dsn, reason, deadUntil);
            Window = 0;
            return true;
        }

        double feedback = limits.NegativeFeedback.At(Window);
        _failure -= feedback;
        while (_failure - (feedback / 2) < 0)
        {
            Window--;
            _failure++;
            _success = 0;
        }

        Window = Math.Max(1, Window);
        return false;
    }

    /// <summary>Forgets that it was dead.</summary>
    public void Revive()
    {
        Dead = null;
        Window = InitialWindow(transport.Limits);
        _success = _failedCohorts = 0;
        _failure = 1;
    }

    private static int InitialWindow(TransportLimits limits) =>
        limits.ConcurrencyLimit == 0 ? limits.InitialConcurrency : Math.Min(limits.InitialConcurrency, limits.ConcurrencyLimit);
}

/// <summary>Why a destination is not tried.</summary>
/// <param name="Dsn">Of the last failure.</param>
/// <param name="Reason">Of the last failure.</param>
/// <param name="Until">When it is tried again.</param>
internal sealed record DeadMark(string Dsn, string Reason, TimeSpan Until);
