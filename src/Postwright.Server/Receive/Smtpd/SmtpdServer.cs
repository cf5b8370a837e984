using Postwright.Core.Seams;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// Runs the sessions of all smtpd services: numbers them, keeps one heartbeat for all their time-outs, counts clients, and
/// ends them at shutdown (421 4.3.2). Listening and accepting are the caller's.
/// </summary>
public sealed class SmtpdServer : IAsyncDisposable
{
    // Time-outs are seconds to minutes long; a second's delay of them harms nobody, and ten thousand timers would.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Lock _gate = new();

    // In the order they came in: what is done to all of them is done in that order, in each run of a simulation.
    private readonly LinkedList<SmtpdSession> _sessions = [];
    private readonly ITimer _timer;
    private TaskCompletionSource<bool>? _allGone;
    private int _lastNumber;
    private int _running;
    private int _beating;
    private volatile bool _stopping;

    /// <summary>A server without sessions.</summary>
    /// <param name="time">The clock of the heartbeat and of rates.</param>
    public SmtpdServer(TimeProvider time)
    {
        _time = time;
        Clients = new ClientCounters(time);
        _timer = time.CreateTimer(static state => ((SmtpdServer)state!).Beat(), this, Heartbeat, Heartbeat);
    }

    /// <summary>Sessions that run.</summary>
    public int SessionCount
    {
        get
        {
            lock (_gate)
            {
                return _sessions.Count;
            }
        }
    }

    internal ClientCounters Clients { get; }

    /// <summary>
    /// Talks with a client until either side ends it. Does not throw; the connection is disposed. Sessions over the service's
    /// limit are the caller's to refuse before.
    /// </summary>
    public async Task RunAsync(IConnection connection, SmtpdService service)
    {
        int number = Interlocked.Increment(ref _lastNumber) & 0x7fffff;
        SmtpdSession session = new(connection, service, this, number == 0 ? 1 : number);
        LinkedListNode<SmtpdSession> place;
        lock (_gate)
        {
            place = _sessions.AddLast(session);
            _running++;
        }

        if (_stopping)
        {
            session.Stop();
        }

        try
        {
            await session.RunAsync();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A bug ends its own session and no other, and is not silent.
            service.Parts.Log.For("smtpd", number).Panic($"unexpected {e.GetType().Name} in a session: {e.Message} {e.StackTrace}");
        }
        finally
        {
            lock (_gate)
            {
                _sessions.Remove(place);
            }

            session.Dispose();
            await connection.DisposeAsync();
            Gone();
        }
    }

    /// <summary>Ends all sessions: each finishes the command it is at, gets 421 and is closed.</summary>
    /// <param name="patience">After this long what is left is cut off, and waited for as long again.</param>
    public async Task StopAsync(TimeSpan patience)
    {
        _stopping = true;
        foreach (SmtpdSession session in Sessions())
        {
            session.Stop();
        }

        await WaitForSessionsAsync(patience);
        foreach (SmtpdSession session in Sessions())
        {
            session.Cut();
        }

        // One that waits for the disk ends when that answers: until then the queue is needed.
        await WaitForSessionsAsync(patience);
    }

    private async Task WaitForSessionsAsync(TimeSpan patience)
    {
        Task<bool> allGone;
        lock (_gate)
        {
            if (_running == 0)
            {
                return;
            }

            _allGone ??= new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            allGone = _allGone.Task;
        }

        using CancellationTokenSource late = new(patience, _time);
        try
        {
            await allGone.OrCancelledAsync(late.Token);
        }
        catch (OperationCanceledException)
        {
            // They had their time.
        }
    }

    /// <summary>A session's connection is closed: the last one tells who waits for it.</summary>
    private void Gone()
    {
        TaskCompletionSource<bool>? allGone = null;
        lock (_gate)
        {
            if (--_running == 0)
            {
                (allGone, _allGone) = (_allGone, null);
            }
        }

        allGone?.SetResult(true);
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync() => await _timer.DisposeAsync();

    // A copy: what is done to a session may end it at once.
    private SmtpdSession[] Sessions()
    {
        lock (_gate)
        {
            return [.. _sessions];
        }
    }

    private void Beat()
    {
        // A beat that takes longer than a second is not overtaken: a session would be cut off for having just been told to end.
        if (Interlocked.Exchange(ref _beating, 1) != 0)
        {
            return;
        }

        long now = _time.GetTimestamp();
        foreach (SmtpdSession session in Sessions())
        {
            session.CheckDeadline(now);
        }

        Clients.Forget();
        Volatile.Write(ref _beating, 0);
    }
}
