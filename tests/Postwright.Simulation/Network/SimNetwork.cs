using System.Net;
using System.Net.Sockets;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Network;

/// <summary>What answers at an address of the simulated network.</summary>
internal enum Reachability
{
    /// <summary>It listens.</summary>
    Open,

    /// <summary>Connections are refused.</summary>
    Refused,

    /// <summary>Nothing answers, until the caller loses patience.</summary>
    Silent,

    /// <summary>No route.</summary>
    Unreachable,
}

/// <summary>All hosts and the connections between them.</summary>
internal sealed class SimNetwork(Scheduler scheduler, SimContext world, SimTime worldTime, Rng chance, Action<string> count)
{
    // As long as Linux tries to connect.
    private static readonly TimeSpan SystemPatience = TimeSpan.FromSeconds(131);

    private readonly Dictionary<string, SimListener> _listeners = new(StringComparer.Ordinal);
    private readonly List<SimLink> _links = [];
    private int _numbers;

    public Scheduler Scheduler => scheduler;

    public SimContext WorldContext => world;

    public Rng Chance => chance;

    /// <summary>Pieces take up to so long from now on.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>What happens to a connection attempt; the world's plan sets it.</summary>
    public Func<IPEndPoint, Reachability> Reach { get; set; } = static _ => Reachability.Open;

    /// <summary>Told of every new connection.</summary>
    public Action<SimLink>? Connected { get; set; }

    public IReadOnlyList<SimLink> Links => _links;

    /// <summary>The most connections at once.</summary>
    public int MostLinks { get; private set; }

    public void After(TimeSpan delay, Action work)
    {
        SimTimer? timer = null;
        timer = (SimTimer)worldTime.CreateTimer(
            _ =>
            {
                timer!.Dispose();
                work();
            },
            null, delay, Timeout.InfiniteTimeSpan);
    }

    public void Forget(SimLink link) => _links.Remove(link);

    public INetwork For(SimContext process, IPAddress own) => new HostNetwork(this, process, own);

    /// <summary>A process ended: what it listened on is gone, and its connections break, or fall silent where the machine lost its power.</summary>
    public void ProcessDied(SimContext process, bool powerCut)
    {
        foreach (SimListener listener in _listeners.Values.Where(one => one.Context == process).ToArray())
        {
            listener.Close();
        }

        foreach (SimLink link in _links.ToArray())
        {
            if (link.Client.Context == process || link.Server.Context == process)
            {
                _links.Remove(link);
                if (powerCut)
                {
                    link.Silence();
                    After(TimeSpan.FromSeconds(chance.Between(5, 60)), link.Cut);
                }
                else
                {
                    (link.Client.Context == process ? link.Client : link.Server).Abort();
                }
            }
        }
    }

    private static string Key(EndPoint point) => point.ToString()!;

    private async ValueTask<IConnection> ConnectAsync(SimContext process, IPAddress own, EndPoint remote, CancellationToken cancellationToken)
    {
        Reachability reach = remote is IPEndPoint ip ? Reach(ip) : Reachability.Open;
        await Task.Delay(TimeSpan.FromTicks(Delay == TimeSpan.Zero ? 0 : chance.Between(0, Delay.Ticks)) + TimeSpan.FromTicks(100), new SimTime(process, default), cancellationToken);
        if (reach == Reachability.Silent)
        {
            count("connect times out");
            await Task.Delay(SystemPatience, new SimTime(process, default), cancellationToken);
            throw new SocketException((int)SocketError.TimedOut);
        }

        if (reach == Reachability.Unreachable)
        {
            count("host unreachable");
            throw new SocketException((int)SocketError.HostUnreachable);
        }

        if (reach == Reachability.Refused || !_listeners.TryGetValue(Key(remote), out SimListener? listener) || listener.IsClosed)
        {
            count("connection refused");
            throw new SocketException((int)SocketError.ConnectionRefused);
        }

        EndPoint local = remote is IPEndPoint ? new IPEndPoint(own, 10000 + (_numbers % 50000)) : new UnixDomainSocketEndPoint("/client");
        var link = new SimLink(this, process, listener.Context, local, remote, ++_numbers) { Delay = Delay };
        _links.Add(link);
        MostLinks = Math.Max(MostLinks, _links.Count);
        Connected?.Invoke(link);
        listener.Offer(link.Server);
        return link.Client;
    }

    private sealed class HostNetwork(SimNetwork network, SimContext process, IPAddress own) : INetwork
    {
        public ValueTask<IConnection> ConnectAsync(EndPoint remote, IPAddress? bindAddress, CancellationToken cancellationToken) =>
            network.ConnectAsync(process, bindAddress ?? own, remote, cancellationToken);

        public IListener Listen(EndPoint local)
        {
            var listener = new SimListener(network, process, local);
            network._listeners[Key(local)] = listener;
            return listener;
        }
    }

    private sealed class SimListener(SimNetwork network, SimContext process, EndPoint local) : IListener
    {
        private readonly Queue<SimEnd> _waiting = new();
        private TaskCompletionSource<bool>? _wanted;

        public SimContext Context => process;

        public bool IsClosed { get; private set; }

        public EndPoint LocalEndPoint => local;

        public void Offer(SimEnd end)
        {
            _waiting.Enqueue(end);
            Wake();
        }

        public async ValueTask<IConnection> AcceptAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (_waiting.TryDequeue(out SimEnd? end))
                {
                    return end;
                }

                var wait = _wanted = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
                await using (cancellationToken.UnsafeRegister(static (state, token) => ((TaskCompletionSource<bool>)state!).TrySetCanceled(token), wait))
                {
                    await wait.Task;
                }
            }
        }

        public void Close()
        {
            if (!IsClosed)
            {
                IsClosed = true;
                if (network._listeners.TryGetValue(Key(local), out SimListener? now) && now == this)
                {
                    network._listeners.Remove(Key(local));
                }

                foreach (SimEnd end in _waiting)
                {
                    end.Abort();
                }

                _waiting.Clear();
            }
        }

        public ValueTask DisposeAsync()
        {
            Close();
            return ValueTask.CompletedTask;
        }

        private void Wake()
        {
            TaskCompletionSource<bool>? wanted = _wanted;
            _wanted = null;
            wanted?.TrySetResult(true);
        }
    }
}
