namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // Real deliveries: an identity belongs to a thread. A simulation has an agent of its own.

/// <summary>
/// Threads for deliveries. A delivery waits for disks, locks and commands and changes its thread's identity, so it gets a real
/// thread, never one of the pool's; this class and the agent's sockets are the seam where real threads live.
/// <para>Threads start as work needs them, up to a limit, and stay. A piece of work that throws
/// <see cref="IdentityLostException"/> ends its thread; another is started in its place when needed.</para>
/// </summary>
/// <param name="name">The threads' name.</param>
/// <param name="limit">Threads at most.</param>
public sealed class DeliveryWorkers(string name, int limit = DeliveryWorkers.DefaultLimit) : IDisposable
{
    // Deliveries block on the disk's sync most of the time; those that wait together share one journal commit.
    /// <summary>Threads at most, unless said otherwise: the default of default_process_limit, which this replaces.</summary>
    public const int DefaultLimit = 100;

    // Work that waits for a thread, at most; more waits in RunAsync.
    private readonly SemaphoreSlim _places = new(limit * 4, limit * 4);
    private readonly Queue<Work> _queue = new();
    private readonly object _lock = new();
    private int _threads;
    private int _idle;
    private bool _ended;

    /// <summary>Runs a function on a delivery thread.</summary>
    /// <exception cref="IdentityLostException">It ended its thread.</exception>
    /// <exception cref="ObjectDisposedException">The workers have ended.</exception>
    public async ValueTask<T> RunAsync<T>(Func<T> function, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        try
        {
            var work = new Work<T>(function);
            Enqueue(work);
            return await work.Task;
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Lets the threads end when the queue is empty. Work that was taken is finished.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _ended = true;
            Monitor.PulseAll(_lock);
        }
    }

    private void Enqueue(Work work)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_ended, this);
            _queue.Enqueue(work);
            Monitor.Pulse(_lock);
            StartThreadIfNeeded();
        }
    }

    // Every idle thread will take one piece of work; whatever is more than they can take needs a thread.
    private void StartThreadIfNeeded()
    {
        if (_queue.Count > _idle && _threads < limit)
        {
            _threads++;
            new Thread(Run, 512 * 1024) { IsBackground = true, Name = name }.Start();
        }
    }

    private void Run()
    {
        while (Next() is { } work && work.Run())
        {
        }

        lock (_lock)
        {
            _threads--;
            StartThreadIfNeeded();
        }
    }

    private Work? Next()
    {
        lock (_lock)
        {
            while (_queue.Count == 0)
            {
                if (_ended)
                {
                    return null;
                }

                _idle++;
                Monitor.Wait(_lock);
                _idle--;
            }

            return _queue.Dequeue();
        }
    }

    private abstract class Work
    {
        /// <summary>False when the thread must end.</summary>
        public abstract bool Run();
    }

    private sealed class Work<T>(Func<T> function) : Work
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<T> Task => _done.Task;

        public override bool Run()
        {
            try
            {
                _done.SetResult(function());
                return true;
            }
            catch (Exception failure)
            {
                // Told to whoever awaits the work.
                _done.SetException(failure);
                return failure is not IdentityLostException;
            }
        }
    }
}
