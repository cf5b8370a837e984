using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

#pragma warning disable RS0030 // The real network: its loops are threads.

/// <summary>What an event loop watches: told on the loop's thread what the kernel said of its descriptor.</summary>
internal interface IWatched
{
    /// <summary>Something happened.</summary>
    /// <param name="events">EPOLLIN, EPOLLOUT, EPOLLHUP and so on.</param>
    void Happened(uint events);
}

/// <summary>
/// One thread that waits for the descriptors of many connections at once and runs what awaited them, there and then: a
/// session goes from its client's bytes to its reply without a change of thread. The loop is also the synchronisation context
/// of all it runs, so that a session whose message was synced elsewhere comes back to it.
/// <para>Nothing on a loop may block for long: all its connections would wait. Disk work that can wait goes through
/// <see cref="Seams.IDisk.OffloadAsync"/>. Events are edge-triggered: a descriptor is registered once, for its life.</para>
/// </summary>
internal sealed class EventLoop : SynchronizationContext
{
    private const int MostEvents = 256;

    /// <summary>
    /// Posted work that runs between two looks at the descriptors; what is posted meanwhile comes after them, so that work which
    /// posts itself again starves nobody.
    /// </summary>
    private const int MostPosted = 1024;

    private readonly ConcurrentQueue<(SendOrPostCallback Work, object? State)> _posted = new();
    private readonly Action<Exception> _onBug;
    private readonly int _poll = SocketCalls.NewPoll();
    private readonly int _wake = SocketCalls.NewWake();
    private int _signalled;

    /// <summary>Starts a loop; it runs as long as the process.</summary>
    /// <param name="name">The thread's name.</param>
    /// <param name="onBug">Told of an exception that reached the loop, which by then has lost what it was at.</param>
    public EventLoop(string name, Action<Exception> onBug)
    {
        _onBug = onBug;
        if (SocketCalls.Watch(_poll, _wake, SocketCalls.Readable | SocketCalls.EdgeTriggered, 0) is < 0 and var errno)
        {
            throw new IOException("event loop", SocketCalls.Exception(-errno));
        }

        new Thread(Run) { IsBackground = true, Name = name }.Start();
    }

    /// <summary>The loop whose thread this is, if any.</summary>
    [field: ThreadStatic]
    public static EventLoop? OfThisThread { get; private set; }

    /// <summary>Watches a descriptor.</summary>
    /// <returns>A handle to give to <see cref="Forget"/> before the descriptor is closed.</returns>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel has no room for it.</exception>
    public GCHandle Watch(int descriptor, IWatched watched)
    {
        var handle = GCHandle.Alloc(watched);
        int result = SocketCalls.Watch(
            _poll, descriptor, SocketCalls.Readable | SocketCalls.Writable | SocketCalls.Failed | SocketCalls.EdgeTriggered, GCHandle.ToIntPtr(handle));
        if (result < 0)
        {
            handle.Free();
            throw SocketCalls.Exception(-result);
        }

        return handle;
    }

    /// <summary>
    /// Ends the watching of a descriptor that is about to be closed: closing alone would not where another process has the same
    /// socket, as master has the listening ones. Events that the loop fetched before may still carry the handle, so it
    /// is freed after they have been dealt with.
    /// </summary>
    public void Forget(int descriptor, GCHandle handle)
    {
        SocketCalls.Unwatch(_poll, descriptor);
        Post(static state => ((GCHandle)state!).Free(), handle);
    }

    /// <inheritdoc />
    public override void Post(SendOrPostCallback d, object? state)
    {
        _posted.Enqueue((d, state));

        // The loop itself looks at what was posted before it waits again.
        if (OfThisThread != this && Interlocked.Exchange(ref _signalled, 1) == 0)
        {
            SocketCalls.Wake(_wake);
        }
    }

    /// <inheritdoc />
    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("nothing waits for an event loop");

    /// <inheritdoc />
    public override SynchronizationContext CreateCopy() => this;

    private unsafe void Run()
    {
        OfThisThread = this;
        SetSynchronizationContext(this);
        byte* events = stackalloc byte[SocketCalls.EventBytes(MostEvents)];
        while (true)
        {
            int count = SocketCalls.Wait(_poll, events, MostEvents, _posted.IsEmpty ? -1 : 0);
            for (int i = 0; i < count; i++)
            {
                nint tag = SocketCalls.TagAt(events, i);
                if (tag == 0)
                {
                    SocketCalls.ClearWake(_wake);
                    Volatile.Write(ref _signalled, 0);
                    continue;
                }

                try
                {
                    ((IWatched)GCHandle.FromIntPtr(tag).Target!).Happened(SocketCalls.EventsAt(events, i));
                }
                catch (Exception bug)
                {
                    _onBug(bug);
                }
            }

            RunPosted();
        }
    }

    private void RunPosted()
    {
        for (int i = 0; i < MostPosted && _posted.TryDequeue(out (SendOrPostCallback Work, object? State) one); i++)
        {
            try
            {
                one.Work(one.State);
            }
            catch (Exception bug)
            {
                _onBug(bug);
            }
        }
    }
}
