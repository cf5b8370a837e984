using System.Threading.Channels;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote;

/// <summary>How a pool treats its hosts and connections.</summary>
internal sealed record RemotePoolOptions
{
    /// <summary>The servers; every one of them has the same data.</summary>
    public required IReadOnlyList<RemoteEndpoint> Hosts { get; init; }

    /// <summary>Connections at most, over all hosts.</summary>
    public required int Connections { get; init; }

    /// <summary>The longest attempt to connect and log in, so that a dead host leaves time for the next one.</summary>
    public required TimeSpan ConnectTime { get; init; }

    /// <summary>An unused connection is closed after so long.</summary>
    public TimeSpan IdleLife { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A connection is closed after so long even while it is in use time and again; null for never.</summary>
    public TimeSpan? Life { get; init; }

    /// <summary>A host that failed is not asked for so long; the time doubles with each failure in a row.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Where the doubling ends.</summary>
    public TimeSpan LastRetry { get; init; } = TimeSpan.FromSeconds(16);

    /// <summary>True for any order among hosts of a kind, with unix-domain sockets first (SQL); false for the order of the list.</summary>
    public bool IsRandom { get; init; }
}

// One door for broken connections. A question goes to an idle connection if there is one; if that breaks, to the next, since
// a server that was restarted or closed what was idle is no failure (some say so before they hang up). Then to each host in turn that is
// not waiting after a failure. While all hosts wait, questions fail at once: a server that is down costs a session nothing,
// and the server no storm of connections when it comes back.

/// <summary>The connections of one table.</summary>
internal sealed class RemotePool<TConnection>(
    RemotePoolOptions options, Func<RemoteEndpoint, CancellationToken, ValueTask<TConnection>> connect, TimeProvider time, IChance chance) : IDisposable
    where TConnection : RemoteConnection
{
    private readonly Host[] _hosts = [.. options.Hosts.Select(endpoint => new Host(endpoint, new RemotePause(options.FirstRetry, options.LastRetry, time)))];
    private readonly Channel<bool> _slots = Channel.CreateBounded<bool>(options.Connections);
    private readonly List<Lease> _idle = [];
    private readonly Lock _lock = new();
    private ITimer? _sweeper;
    private bool _disposed;

    /// <summary>Asks one of the hosts.</summary>
    /// <param name="ask">The question and its answer on a connection; repeated on another one after a failure, so it must only read.</param>
    /// <param name="deadline">Ends all of it.</param>
    /// <exception cref="RemoteFailure">No host gave an answer.</exception>
    public async ValueTask<T> RunAsync<T>(Func<TConnection, CancellationToken, ValueTask<T>> ask, CancellationToken deadline)
    {
        await _slots.Writer.WriteAsync(true, deadline);
        try
        {
            RemoteFailure? last = null;
            var tried = new HashSet<Host>();
            while (TakeIdle() is { } lease)
            {
                tried.Add(lease.Host);
                (bool answered, T? answer, last) = await AskAsync(lease, ask, deadline);
                if (answered)
                {
                    return answer!;
                }

                if (last is null)
                {
                    tried.Remove(lease.Host);
                    continue;
                }

                break;
            }

            foreach (Host host in Order(tried))
            {
                Lease lease;
                try
                {
                    lease = await ConnectAsync(host, deadline);
                }
                catch (RemoteFailure failure)
                {
                    last = failure;
                    continue;
                }

                (bool answered, T? answer, RemoteFailure? why) = await AskAsync(lease, ask, deadline);
                if (answered)
                {
                    return answer!;
                }

                last = why ?? last ?? new RemoteFailure($"{host.Endpoint}: the server closed the connection");
            }

            throw last ?? Waiting();
        }
        finally
        {
            _slots.Reader.TryRead(out _);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _sweeper?.Dispose();
            foreach (Lease lease in _idle)
            {
                lease.Connection.Dispose();
            }

            _idle.Clear();
        }
    }

    /// <summary>Answered and the answer; else why not, with null for a connection that was stale.</summary>
    private async ValueTask<(bool Answered, T? Answer, RemoteFailure? Why)> AskAsync<T>(
        Lease lease, Func<TConnection, CancellationToken, ValueTask<T>> ask, CancellationToken deadline)
    {
        try
        {
            T answer = await ask(lease.Connection, deadline);
            Keep(lease);
            return (true, answer, null);
        }
        catch (RemoteFailure failure) when (failure.ConnectionIsUsable)
        {
            Keep(lease);
            return (false, default, failure);
        }
        catch (RemoteFailure failure)
        {
            lease.Connection.Dispose();
            if (lease.WasUsed && !failure.HostIsWell)
            {
                return (false, default, null);
            }

            if (!failure.HostIsWell)
            {
                Fail(lease.Host, failure.Message, isSlow: false);
            }

            return (false, default, new RemoteFailure($"{lease.Host.Endpoint}: {failure.Message}"));
        }
        catch (OperationCanceledException)
        {
            lease.Connection.Dispose();
            Fail(lease.Host, "no answer in time", isSlow: true);
            throw;
        }
        catch
        {
            lease.Connection.Dispose();
            throw;
        }
    }

    private async ValueTask<Lease> ConnectAsync(Host host, CancellationToken deadline)
    {
        using var limit = new CancellationTokenSource(options.ConnectTime, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, deadline);
        try
        {
            TConnection connection = await connect(host.Endpoint, both.Token);
            return new Lease(host, connection, time.GetTimestamp());
        }
        catch (RemoteFailure failure)
        {
            Fail(host, failure.Message, isSlow: false);
            throw;
        }
        catch (OperationCanceledException)
        {
            Fail(host, "connect: no answer in time", isSlow: false);
            deadline.ThrowIfCancellationRequested();
            throw new RemoteFailure($"connect to {host.Endpoint}: no answer within {options.ConnectTime.TotalSeconds:0.###} s");
        }
    }

    private Lease? TakeIdle()
    {
        lock (_lock)
        {
            while (_idle.Count > 0)
            {
                // The one that was used last is the least likely to be stale, and lets the others grow old.
                Lease lease = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
                if (!IsOld(lease) && lease.Connection.Stream.IsDrained)
                {
                    return lease;
                }

                lease.Connection.Dispose();
            }

            return null;
        }
    }

    private void Keep(Lease lease)
    {
        lock (_lock)
        {
            lease.Host.Pause.Succeed();
            lease.IdleSince = time.GetTimestamp();
            lease.WasUsed = true;
            if (_disposed || IsOld(lease))
            {
                lease.Connection.Dispose();
                return;
            }

            _idle.Add(lease);
            _sweeper ??= time.CreateTimer(_ => Sweep(), null, options.IdleLife, Timeout.InfiniteTimeSpan);
        }
    }

    private void Sweep()
    {
        lock (_lock)
        {
            _idle.RemoveAll(lease =>
            {
                bool old = IsOld(lease);
                if (old)
                {
                    lease.Connection.Dispose();
                }

                return old;
            });
            _sweeper?.Dispose();
            _sweeper = _disposed || _idle.Count == 0 ? null : time.CreateTimer(_ => Sweep(), null, options.IdleLife, Timeout.InfiniteTimeSpan);
        }
    }

    private bool IsOld(Lease lease) =>
        time.GetElapsedTime(lease.IdleSince) >= options.IdleLife || (options.Life is { } life && time.GetElapsedTime(lease.Made) >= life);

    private void Fail(Host host, string reason, bool isSlow)
    {
        lock (_lock)
        {
            host.Pause.Fail(reason, isSlow);
        }
    }

    private List<Host> Order(HashSet<Host> tried)
    {
        lock (_lock)
        {
            List<Host> ready = [.. _hosts.Where(host => !tried.Contains(host) && !host.Pause.IsWaiting)];
            if (options.IsRandom)
            {
                ready = [.. ready.OrderBy(host => host.Endpoint.Path is null).ThenBy(_ => chance.Next(int.MaxValue))];
            }

            return ready;
        }
    }

    private RemoteFailure Waiting()
    {
        lock (_lock)
        {
            Host next = _hosts.MinBy(host => host.Pause.Left)!;
            return next.Pause.Failure(next.Endpoint.ToString());
        }
    }

    private sealed class Host(RemoteEndpoint endpoint, RemotePause pause)
    {
        public RemoteEndpoint Endpoint => endpoint;

        public RemotePause Pause => pause;
    }

    private sealed class Lease(Host host, TConnection connection, long made)
    {
        public Host Host => host;

        public TConnection Connection => connection;

        public long Made { get; } = made;

        public long IdleSince { get; set; } = made;

        public bool WasUsed { get; set; }
    }
}
