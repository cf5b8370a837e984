using System.Threading.Tasks.Sources;

namespace Postwright.Server.Queue;

/// <summary>
/// What the queue manager's loop waits for: set any number of times, it ends one wait. What waits goes on in its own
/// synchronisation context, without the thread in between that a semaphore takes. One waiter at a time.
/// </summary>
internal sealed class WakeSignal : IValueTaskSource
{
    private const int Calm = 0;
    private const int Waiting = 1;
    private const int Set = 2;

    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private int _state;

    /// <summary>Ends the wait under way, or the next one.</summary>
    public void Raise()
    {
        if (Interlocked.Exchange(ref _state, Set) == Waiting)
        {
            _core.SetResult(true);
        }
    }

    /// <summary>Completes once the signal is raised, which it then is no more.</summary>
    public ValueTask WaitAsync()
    {
        _core.Reset();
        return Interlocked.CompareExchange(ref _state, Waiting, Calm) == Calm ? new ValueTask(this, _core.Version) : Taken();
    }

    void IValueTaskSource.GetResult(short token)
    {
        _ = _core.GetResult(token);
        Volatile.Write(ref _state, Calm);
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private ValueTask Taken()
    {
        Volatile.Write(ref _state, Calm);
        return ValueTask.CompletedTask;
    }
}
