using System.Globalization;
using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Master;
using Postwright.Server.Queue.Spool;
using Postwright.Simulation.Disk;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.World;

#pragma warning disable CA1001 // A process that is killed disposes of nothing, and the token source holds nothing of the system's.

/// <summary>One process of the mail system, from its start to its end by order, kill or power cut.</summary>
internal sealed class Life : ILogSink
{
    // A process that has not ended by now ends as it is, as MailProcess does.
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(1);

    private readonly MailSystemParts _parts;
    private readonly AgentClient _agent;
    private readonly CancellationTokenSource _commandsEnd = new();
    private readonly List<Task> _commands = [];
    private int _crashAfter;
    private bool _crashIsPowerCut;
    private bool _busy;

    public Life(SimWorld world, int number)
    {
        World = world;
        Name = string.Create(CultureInfo.InvariantCulture, $"mail.{number}");
        Context = new SimContext(world.Scheduler);
        Time = new SimTime(Context, SimWorld.Start) { Offset = world.ClockOffset };
        Disk = new LifeDisk(this, world.Platter, world.DiskFaults, Rng.Of(world.Plan.Seed, 200 + (ulong)number))
        {
            BeforeSync = (path, node) =>
            {
                // A segment keeps the name under which it was opened, which is often that of a free one.
                if (path.EndsWith(".log", StringComparison.Ordinal) || path.Contains("/free-", StringComparison.Ordinal))
                {
                    world.Ledger.Syncing(node);
                }
            },
            AfterSync = world.LookSoon,
        };
        _agent = new AgentClient(new AgentEndpoint(this), new MailLog(this, "postfix/master", number));
        _parts = new MailSystemParts
        {
            Network = world.Network.For(Context, IPAddress.Parse("10.0.0.1")),
            Dns = world.Dns,
            Disk = Disk,
            Maildrop = (_, _) => world.Maildrop.For(this),
            Host = new SimHost(),
            Chance = new SimChance(Rng.Of(world.Plan.Seed, 300 + (ulong)number)),
            Time = Time,
            LogSink = this,
            Agent = (configuration, tables, log) => _agent.With(ServedTables.From(configuration, tables, Time, log)),
            OwnerUid = SimHost.OwnerUid,
            ProcessNumber = number,
        };
    }

    public SimWorld World { get; }

    public string Name { get; }

    public SimContext Context { get; }

    public SimTime Time { get; }

    public LifeDisk Disk { get; }

    public MailSystem? System { get; private set; }

    public Spool? Spool => System?.Spool;

    /// <summary>It takes mail.</summary>
    public bool IsUp { get; private set; }

    public bool IsDead { get; private set; }

    /// <summary>When its stop began, in ticks of the scheduler; never, as long as it has not.</summary>
    public long StopBegan { get; private set; } = long.MaxValue;

    /// <summary>Until then a stop that has begun waits for clients and for servers.</summary>
    public long PatienceEnds { get; private set; } = long.MaxValue;

    /// <summary>It has stopped within its time: all that it did is on the disk, unless that had trouble.</summary>
    public bool HasEndedInOrder { get; private set; }

    /// <summary>Local and virtual deliveries under way.</summary>
    public int Deliveries { get; set; }

    /// <summary>Its connections to an agent.</summary>
    public int AgentConnections { get; set; }

    /// <summary>The next event of the disk is its end.</summary>
    public bool DiesNow => _crashAfter == 1;

    /// <summary>Begins, and tries until the queue can be read.</summary>
    public async void Boot(MailConfiguration configuration)
    {
        MailSystem? system = await MailSystem.CreateAsync(configuration, _parts);
        if (IsDead)
        {
            return;
        }

        if (system is null)
        {
            World.Count("start refused");
            World.Ended(this, TimeSpan.FromSeconds(30));
            return;
        }

        System = system;
        World.Ledger.Recovered(this);
        IListener listener = _parts.Network.Listen(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 25));
        if (!system.Start([new ServiceListener("smtp", "smtp", listener)]))
        {
            throw new SimulationException("the mail system did not start");
        }

        IsUp = true;
        await system.Ended;
        if (!_busy)
        {
            throw new SimulationException("the queue manager ended by itself");
        }
    }

    public async void Reload(MailConfiguration configuration)
    {
        if (!IsUp || _busy)
        {
            return;
        }

        _busy = true;
        World.Count("reload");
        bool done = await System!.ReloadAsync(configuration, [], []);
        _busy = false;
        if (!done)
        {
            throw new SimulationException("the new configuration was refused");
        }
    }

    public async void Stop(TimeSpan patience, TimeSpan away)
    {
        if (!IsUp || _busy)
        {
            return;
        }

        _busy = true;
        IsUp = false;
        (StopBegan, PatienceEnds) = (World.Scheduler.Now, World.Scheduler.Now + patience.Ticks);
        World.Count("stop");
        _commandsEnd.Cancel();
        Task stop = StopAsync(patience);
        bool inTime = await Task.WhenAny(stop, Task.Delay(patience + StopLimit, Time)) == stop;
        if (!inTime)
        {
            World.Count("stop cut off");
            World.Ledger.CutOff(this);
        }

        await System!.DisposeAsync();
        _agent.Dispose();
        if (inTime)
        {
            HasEndedInOrder = !World.HadDiskTrouble(StopBegan);
            World.Stopped(this);
        }

        World.Ended(this, away);
    }

    private async Task StopAsync(TimeSpan patience)
    {
        await System!.StopAsync(patience);
        foreach (Task command in _commands)
        {
            await command;
        }
    }

    /// <summary>Runs an administrator's command as the control socket does: a stop ends it, and waits for its end.</summary>
    public void RunCommand(Func<CancellationToken, Task> command) => Context.Run(() => _commands.Add(UntilStopAsync(command)));

    private async Task UntilStopAsync(Func<CancellationToken, Task> command)
    {
        try
        {
            await command(_commandsEnd.Token);
        }
        catch (OperationCanceledException) when (_commandsEnd.IsCancellationRequested)
        {
            // Whoever asked sees the connection end.
        }
    }

    /// <summary>It will die at the n-th event of its disk.</summary>
    public void DieAtWrite(int events, bool powerCut) => (_crashAfter, _crashIsPowerCut) = (events, powerCut);

    /// <summary>A write, sync or change of a name happens.</summary>
    public void DiskEvent()
    {
        if (!IsDead && _crashAfter > 0 && --_crashAfter == 0)
        {
            World.Count(_crashIsPowerCut ? "power cut at a write" : "kill at a write");
            World.Crash(this, _crashIsPowerCut);
        }
    }

    /// <summary>Nothing of it runs any more.</summary>
    public void Die()
    {
        IsDead = true;
        IsUp = false;
        Context.Kill();
    }

    /// <summary>The agent of the moment, wherever the process runs its deliveries.</summary>
    private sealed class AgentEndpoint(Life life) : IAgentEndpoint
    {
        public async ValueTask<T> RunAsync<T>(Func<ValueTask<T>> delivery, CancellationToken cancellationToken)
        {
            life.Deliveries++;
            try
            {
                return await delivery();
            }
            finally
            {
                life.Deliveries--;
            }
        }

        public IAgentConnection Connect()
        {
            IAgentConnection connection = life.World.Agent?.Connect(life) ?? throw new IOException("connect to private/agent: Connection refused");
            life.AgentConnections++;
            return connection;
        }
    }

    void ILogSink.Write(LogLevel level, string tag, int number, string text)
    {
        if (!IsDead)
        {
            World.History.Note(Name, string.Create(CultureInfo.InvariantCulture, $"{tag}[{number}]: {text}"));
            World.Ledger.Log(this, level, tag, text);
        }
    }
}
