namespace Postwright.Server.Tests.Queue.Scheduling;

/// <summary>Its wall clock can be set, its timers and its monotonic clock run on.</summary>
internal sealed class WallClock(TimeProvider inner) : TimeProvider
{
    private long _offset;

    public override long TimestampFrequency => inner.TimestampFrequency;

    public void SetBack(TimeSpan by) => Interlocked.Add(ref _offset, -by.Ticks);

    public override DateTimeOffset GetUtcNow() => inner.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));

    public override long GetTimestamp() => inner.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        inner.CreateTimer(callback, state, dueTime, period);
}
