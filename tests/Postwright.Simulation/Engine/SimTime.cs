namespace Postwright.Simulation.Engine;

/// <summary>The clock as one process sees it: a wall clock that can be set, and a monotonic one that cannot.</summary>
internal sealed class SimTime(SimContext context, DateTimeOffset start) : TimeProvider
{
    /// <summary>How far the wall clock is off.</summary>
    public TimeSpan Offset { get; set; }

    /// <summary>Timers that will fire.</summary>
    public int Timers { get; internal set; }

    public Scheduler Scheduler => context.Scheduler;

    public SimContext Context => context;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => start + TimeSpan.FromTicks(Scheduler.Now) + Offset;

    public override long GetTimestamp() => Scheduler.Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }
}
