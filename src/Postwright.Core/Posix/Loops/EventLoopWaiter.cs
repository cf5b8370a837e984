using System.Threading.Tasks.Sources;

namespace Postwright.Core.Posix;

/// <summary>
/// One pending operation on an event loop, made once and used again. Exactly one of arrival, cancellation and close takes it;
/// whoever does completes it, always on the loop's thread, and what awaited it goes on there.
/// </summary>
internal sealed class EventLoopWaiter(EventLoop loop) : IValueTaskSource<int>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<int> _core;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;
    private Exception? _failure;
    private int _pending;

    /// <summary>Begins to wait for a number.</summary>
    public ValueTask<int> Begin(CancellationToken cancellationToken)
    {
        Arm(cancellationToken);
        return new ValueTask<int>(this, _core.Version);
    }

    /// <summary>Begins to wait.</summary>
    public ValueTask BeginVoid(CancellationToken cancellationToken)
    {
        Arm(cancellationToken);
        return new ValueTask(this, _core.Version);
    }

    /// <summary>Makes the caller the one who completes it; false if nobody waits, or another was first.</summary>
    public bool TryTake() => Interlocked.Exchange(ref _pending, 0) != 0;

    /// <summary>Undoes <see cref="TryTake"/>: there was nothing yet. A cancellation that came meanwhile takes it.</summary>
    public void GiveBack()
    {
        Interlocked.Exchange(ref _pending, 1);
        if (_token.IsCancellationRequested)
        {
            Cancel();
        }
    }

    /// <summary>On the loop's thread, after <see cref="TryTake"/>.</summary>
    public void SetResult(int result)
    {
        _registration.Dispose();
        _core.SetResult(result);
    }

    /// <summary>On the loop's thread, after <see cref="TryTake"/>.</summary>
    public void SetException(Exception failure)
    {
        _registration.Dispose();
        _core.SetException(failure);
    }

    /// <summary>From any thread: completes it with a failure, if somebody waits.</summary>
    public void Fail(Exception failure)
    {
        if (TryTake())
        {
            _failure = failure;
            loop.Post(static state => ((EventLoopWaiter)state!).SetException(((EventLoopWaiter)state)._failure!), this);
        }
    }

    int IValueTaskSource<int>.GetResult(short token) => _core.GetResult(token);

    void IValueTaskSource.GetResult(short token) => _ = _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        OnCompleted(continuation, state, token, flags);

    private void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        // Completed on the loop's thread: what runs there goes on at once, not by a post.
        if (EventLoop.OfThisThread == loop)
        {
            flags &= ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext;
        }

        _core.OnCompleted(continuation, state, token, flags);
    }

    private void Arm(CancellationToken cancellationToken)
    {
        _core.Reset();
        _failure = null;
        _token = cancellationToken;
        Interlocked.Exchange(ref _pending, 1);
        _registration = cancellationToken.UnsafeRegister(static state => ((EventLoopWaiter)state!).Cancel(), this);
    }

    private void Cancel() => Fail(new OperationCanceledException(_token));
}
