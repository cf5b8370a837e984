using System.Globalization;

namespace Postwright.Simulation.Engine;

/// <summary>
/// One thread, one clock, one stream of chance: everything that can run waits here, chance picks what runs next, and the
/// clock moves only when nothing can run. What is posted from another thread would make a history that no seed repeats, so it
/// ends the world with the place it came from.
/// </summary>
internal sealed class Scheduler
{
    private readonly Rng _chance;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly PriorityQueue<(SimTimer Timer, int Version), (long Due, long Order)> _timers = new();
    private readonly List<SimTimer> _stretched = [];
    private Item[] _runnable = new Item[64];
    private int _count;
    private long _order;
    private volatile string? _escape;

    public Scheduler(ulong seed, TextWriter? trace)
    {
        _chance = Rng.Of(seed, 1);
        History = new History(this, trace);
    }

    /// <summary>Ticks since the world began; never goes back.</summary>
    public long Now { get; private set; }

    /// <summary>Items run so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Changes of anything but idle heartbeats, to tell a heartbeat that did nothing.</summary>
    public long Activity { get; private set; }

    public History History { get; }

    /// <summary>The most items that could run at one moment.</summary>
    public int MostRunnable { get; private set; }

    public bool IsIdle => _count == 0;

    public void Post(SimContext context, SendOrPostCallback callback, object? state)
    {
        if (!IsOwnThread())
        {
            return;
        }

        if (context.IsDead)
        {
            return;
        }

        if (_count == _runnable.Length)
        {
            Array.Resize(ref _runnable, _count * 2);
        }

        _runnable[_count++] = new Item(context, callback, state);
        MostRunnable = Math.Max(MostRunnable, _count);
    }

    public void Start(SimTimer timer, long due)
    {
        if (!IsOwnThread())
        {
            return;
        }

        _timers.Enqueue((timer, timer.Version), (due, _order++));
    }

    /// <summary>Says that something happened that a heartbeat may have to do with.</summary>
    public void Touch() => Activity++;

    /// <summary>Runs one item, or, when there is none, moves the clock to the next timer. False when there is neither.</summary>
    public bool Step(long until)
    {
        if (_escape is { } escape)
        {
            throw new SimulationException("a continuation ran on another thread: " + escape);
        }

        return _count > 0 ? RunOne() : Advance(until);
    }

    private bool RunOne()
    {
        int pick = _chance.Next(_count);
        Item item = _runnable[pick];
        _runnable[pick] = _runnable[--_count];
        _runnable[_count] = default;
        if (item.Context.IsDead)
        {
            return true;
        }

        Steps++;
        History.Mix((ulong)pick);
        if (item.State is not SimTimer { IsHeartbeat: true })
        {
            Activity++;
            Relax();
        }

        SynchronizationContext.SetSynchronizationContext(item.Context);
        item.Callback(item.State);
        SynchronizationContext.SetSynchronizationContext(null);
        return true;
    }

    private bool Advance(long until)
    {
        while (_timers.TryPeek(out (SimTimer Timer, int Version) next, out (long Due, long Order) when))
        {
            if (next.Version != next.Timer.Version || next.Timer.IsDead)
            {
                _timers.Dequeue();
                continue;
            }

            if (when.Due > until)
            {
                break;
            }

            _timers.Dequeue();
            Now = Math.Max(Now, when.Due);
            next.Timer.Fire();
            return true;
        }

        if (Now < until)
        {
            Now = until;
        }

        return false;
    }

    /// <summary>A heartbeat that found nothing to do beats slower until something happens: lateness is what every timer may have.</summary>
    public void Stretch(SimTimer timer)
    {
        if (!_stretched.Contains(timer))
        {
            _stretched.Add(timer);
        }
    }

    private void Relax()
    {
        if (_stretched.Count > 0)
        {
            foreach (SimTimer timer in _stretched)
            {
                timer.Restart();
            }

            _stretched.Clear();
        }
    }

    private bool IsOwnThread()
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            _escape = string.Create(CultureInfo.InvariantCulture, $"thread {Environment.CurrentManagedThreadId}\n{Environment.StackTrace}");
            return false;
        }

        return true;
    }

    private readonly record struct Item(SimContext Context, SendOrPostCallback Callback, object? State);
}
