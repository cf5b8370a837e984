namespace Postwright.Simulation.Engine;

/// <summary>A timer of a simulated process; its callback is posted to the process.</summary>
internal sealed class SimTimer(SimTime time, TimerCallback callback, object? state) : ITimer
{
    // A heartbeat in a quiet system is at most so late.
    private static readonly long LongestStretch = TimeSpan.FromSeconds(60).Ticks;

    private long _period;
    private long _stretched;
    private int _fired;
    private bool _disposed;
    private bool _armed;

    /// <summary>Changes with every change of the timer: entries of the queue that hold another one are void.</summary>
    public int Version { get; private set; }

    public bool IsDead => _disposed || time.Context.IsDead;

    public bool IsHeartbeat => _period > 0;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        if (_disposed)
        {
            return false;
        }

        Version++;
        _period = period == Timeout.InfiniteTimeSpan ? 0 : period.Ticks;
        _stretched = _period;
        Arm(dueTime != Timeout.InfiniteTimeSpan);
        if (dueTime != Timeout.InfiniteTimeSpan)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dueTime.Ticks);
            time.Scheduler.Start(this, time.Scheduler.Now + dueTime.Ticks);
        }

        return true;
    }

    /// <summary>The time has come: the callback gets in line.</summary>
    public void Fire()
    {
        _fired = ++Version;
        Arm(_period > 0);
        time.Scheduler.Post(time.Context, static timer => ((SimTimer)timer!).Run(), this);
    }

    /// <summary>Back to the period that was asked for.</summary>
    public void Restart()
    {
        if (!_disposed && _period > 0)
        {
            Version++;
            _stretched = _period;
            time.Scheduler.Start(this, time.Scheduler.Now + _period);
        }
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Version++;
            Arm(false);
        }
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private void Arm(bool armed)
    {
        time.Timers += (armed ? 1 : 0) - (_armed ? 1 : 0);
        _armed = armed;
    }

    private void Run()
    {
        // A callback that was in line when its timer was changed runs all the same, as with the runtime's timers.
        if (_disposed)
        {
            return;
        }

        Scheduler scheduler = time.Scheduler;
        long before = scheduler.Activity;
        int fired = _fired;
        callback(state);
        if (_disposed || _period == 0 || fired != Version)
        {
            return;
        }

        bool idle = scheduler.Activity == before && scheduler.IsIdle;
        _stretched = idle ? Math.Min(_stretched * 2, LongestStretch) : _period;
        scheduler.Start(this, scheduler.Now + _stretched);
        if (_stretched > _period)
        {
            scheduler.Stretch(this);
        }
    }
}
