namespace Postwright.Core.Posix;

#pragma warning disable RS0030 // The real disk: its blocking calls have threads of their own.

/// <summary>
/// A few threads that do blocking disk work, begun when there is work and ended when there has been none for a while.
/// What waits is bounded by the callers, who each await their own work.
/// </summary>
internal sealed class DiskThreads(string name, int most)
{
    private static readonly TimeSpan IdleLife = TimeSpan.FromSeconds(10);

    private readonly Queue<Action> _work = new();
    private readonly object _gate = new();
    private int _threads;
    private int _idle;

    /// <summary>The pool whose thread this is, if any.</summary>
    [field: ThreadStatic]
    public static DiskThreads? Current { get; private set; }

    /// <summary>Queues work, which must not throw.</summary>
    public void Queue(Action work)
    {
        bool start = false;
        lock (_gate)
        {
            _work.Enqueue(work);
            if (_idle >= _work.Count)
            {
                Monitor.Pulse(_gate);
            }
            else if (_threads < most)
            {
                _threads++;
                start = true;
            }
        }

        if (start)
        {
            new Thread(Run) { IsBackground = true, Name = name }.Start();
        }
    }

    private void Run()
    {
        Current = this;
        while (true)
        {
            Action? work;
            lock (_gate)
            {
                while (_work.Count == 0)
                {
                    _idle++;
                    bool woken = Monitor.Wait(_gate, IdleLife);
                    _idle--;
                    if (!woken && _work.Count == 0)
                    {
                        _threads--;
                        return;
                    }
                }

                work = _work.Dequeue();
            }

            work();

            // What was done is not kept alive while this thread waits for more.
            work = null;
        }
    }
}
