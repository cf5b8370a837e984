using System.Globalization;
using System.Net;
using System.Text;
using Postwright.Simulation.Disk;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;
using Postwright.Simulation.Network;

namespace Postwright.Simulation.World;

/// <summary>
/// The mail system and everything around it: clients, servers, DNS, mailboxes, the administrator, the disk and the plan of what
/// goes wrong. <see cref="Run"/> lets the plan happen, then lets the faults end, and everything must come to its end.
/// </summary>
internal sealed class SimWorld
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    // Longer than any message of any variant may stay: a day, then its bounce's half a day, then the copy's for postmaster.
    private static readonly TimeSpan DrainLimit = TimeSpan.FromDays(6);
    private static readonly long CheckInterval = TimeSpan.FromMinutes(10).Ticks;
    private const long MostSteps = 4_000_000;
    private const int MostTimersAfterStop = 6;

    // What a disk has refused is tried again every second, and three slow syncs may come before it.
    private const long TroubleLasts = 60 * TimeSpan.TicksPerSecond;

    // The current one, those that wait, and the few for which a pass is not worth it.
    private const int MostSegmentsOfEmptyQueue = 8;

    private readonly SortedDictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly List<Client> _clients = [];
    private readonly List<Life> _all = [];
    private readonly Rng _chance;
    private readonly WorldEvents _events;
    private int _lives;
    private int _agents;
    private int _variant;
    private bool _lookSoon;
    private long _lastDiskTrouble = long.MinValue / 2;
    private long _lastSlowSync = long.MinValue / 2;
    private long _nextCheck;

    public SimWorld(Plan plan, TextWriter? trace = null)
    {
        Plan = plan;
        Platter = new Platter { Capacity = plan.DiskBytes };
        Scheduler = new Scheduler(plan.Seed, trace);
        Context = new SimContext(Scheduler);
        Time = new SimTime(Context, Start);
        _chance = Rng.Of(plan.Seed, 3);
        _variant = plan.Variant;
        Ledger = new MailLedger(this);
        Network = new SimNetwork(Scheduler, Context, Time, Rng.Of(plan.Seed, 4), Count) { Connected = Watch };
        Dns = new SimDns(Rng.Of(plan.Seed, 5), () => Serving?.Time ?? Time, Count);
        Maildrop = new SimMaildrop(this, Rng.Of(plan.Seed, 7));
        Servers =
        [
            .. new[] { "192.0.2.11", "192.0.2.12", "192.0.2.20", "192.0.2.21", "192.0.2.30", "192.0.2.40" }
                .Select((address, i) => new RemoteServer(this, IPAddress.Parse(address), address.EndsWith(".40", StringComparison.Ordinal), Rng.Of(plan.Seed, 20 + (ulong)i), Rng.Of(plan.Seed, 40 + (ulong)i))),
        ];
        _events = new WorldEvents(this, Rng.Of(plan.Seed, 6));
    }

    public Plan Plan { get; }

    public Scheduler Scheduler { get; }

    public History History => Scheduler.History;

    public SimContext Context { get; }

    public SimTime Time { get; }

    public Platter Platter { get; }

    public DiskFaults DiskFaults { get; } = new();

    public SimNetwork Network { get; }

    public SimDns Dns { get; }

    public MailLedger Ledger { get; }

    public SimMaildrop Maildrop { get; }

    public IReadOnlyList<RemoteServer> Servers { get; }

    /// <summary>The process that runs, or null.</summary>
    public Life? Serving { get; private set; }

    /// <summary>The agent that runs, or null.</summary>
    public SimAgent? Agent { get; private set; }

    /// <summary>The process, dead or alive, that a connection's end belongs to.</summary>
    public Life LifeOf(SimContext context) => _all.First(life => life.Context == context);

    /// <summary>How far the machine's wall clock is off.</summary>
    public TimeSpan ClockOffset { get; private set; }

    /// <summary>The faults are over.</summary>
    public bool IsCalm { get; private set; }

    /// <summary>When they ended.</summary>
    public long CalmSince { get; private set; }

    /// <summary>0 for none, 1 when mailboxes are busy, 2 when they are slow.</summary>
    public int MailboxTrouble { get; set; }

    /// <summary>What a test has planted.</summary>
    public PlantedFault Planted { get; set; }

    /// <summary>A bit has turned.</summary>
    public bool HasRotted { get; set; }

    /// <summary>The disk has refused something since then, or so shortly before that it may not have been written yet.</summary>
    /// <param name="since">In ticks of the scheduler.</param>
    public bool HadDiskTrouble(long since) => _lastDiskTrouble >= since - TroubleLasts;

    /// <summary>A sync took seconds since then, or so shortly before that others may have waited for it.</summary>
    /// <param name="since">In ticks of the scheduler.</param>
    public bool HadSlowDisk(long since) => _lastSlowSync >= since - TroubleLasts;

    /// <summary>How often each thing happened.</summary>
    public IReadOnlyDictionary<string, int> Counts => _counts;

    /// <summary>What the newest process found had been on the platter, not only in the kernel's memory.</summary>
    public bool LastEndWasPowerCut { get; private set; }

    /// <summary>The first promise that was broken.</summary>
    public SimulationException? Broken { get; set; }

    public void Count(string what)
    {
        _counts[what] = _counts.GetValueOrDefault(what) + 1;
        if (what.StartsWith("disk ", StringComparison.Ordinal))
        {
            _lastDiskTrouble = Scheduler.Now;
        }
        else if (what == "slow sync")
        {
            _lastSlowSync = Scheduler.Now;
        }
    }

    /// <summary>The ledger looks when the step is over.</summary>
    public void LookSoon() => _lookSoon = true;

    /// <summary>Lets the plan happen and everything come to its end; throws when a promise is broken.</summary>
    public void Run()
    {
        SynchronizationContext? before = SynchronizationContext.Current;
        try
        {
            foreach (RemoteServer server in Servers)
            {
                Context.Run(server.Run);
            }

            Context.Run(Boot);
            foreach (PlanItem item in Plan.Items.Where(static item => item.Message is { Session: 0 }))
            {
                Network.After(item.At, () => Maildrop.Submit(item.Message!));
            }

            foreach (IGrouping<int, PlanItem> session in Plan.Items.Where(static item => item.Message is { Session: > 0 }).GroupBy(static item => item.Message!.Session))
            {
                var client = new Client(this, [.. session.Select(static item => item.Message!)], Rng.Of(Plan.Seed, 5000 + (ulong)session.Key));
                _clients.Add(client);
                Network.After(session.First().At, client.Run);
            }

            foreach (PlanItem item in Plan.Items.Where(static item => item.Message is null))
            {
                Network.After(item.At, () => _events.Begin(item));
            }

            RunUntil(Plan.Length.Ticks, static () => false);
            Network.After(TimeSpan.Zero, CalmDown);
            long deadline = Scheduler.Now + DrainLimit.Ticks;
            RunUntil(deadline, () => IsDrained() && IsSpaceWonBack);
            CheckSpace();
            if (!IsDrained())
            {
                throw new SimulationException($"not everything came to its end:\n{Ledger.Describe()}\n{string.Join("\n", _clients.Where(static client => !client.IsDone))}");
            }

            RestartOnce(deadline + TimeSpan.FromHours(1).Ticks);
            Ledger.Finish();
            CheckBounds();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    public void Crash(Life life, bool powerCut)
    {
        History.Note("world", powerCut ? "POWER CUT" : "KILL");
        Ledger.Crashed(life);
        LastEndWasPowerCut = powerCut;
        if (powerCut)
        {
            Platter.CutPower(_chance);
            Maildrop.CutPower();
            EndAgent();
        }
        else
        {
            Platter.Kill();
            if (_chance.Percent(30))
            {
                // It was master that was killed: mail ended at once, the agent finishes.
                FinishAgent();
            }
        }

        Leave(life, powerCut, TimeSpan.FromMilliseconds(_chance.Between(100, 60_000)));
    }

    /// <summary>A process ended in order, or could not start; another one follows.</summary>
    public void Ended(Life life, TimeSpan away)
    {
        Ledger.Crashed(life);
        FinishAgent();
        LastEndWasPowerCut &= life.System is null;
        Platter.Kill();
        Leave(life, false, away);
    }

    /// <summary>An orderly end leaves nothing behind.</summary>
    public void Stopped(Life life)
    {
        if (Platter.OpenHandles != 0)
        {
            throw new SimulationException($"files were left open: {string.Join(", ", Platter.OpenNames())}");
        }

        // A connection that waits for the next message has one for two seconds more.
        if (life.Time.Timers > MostTimersAfterStop)
        {
            throw new SimulationException($"{life.Time.Timers} timers were left running");
        }

        if (life.AgentConnections != 0)
        {
            throw new SimulationException($"{life.AgentConnections} connections to the agent were left open");
        }

        if (life.Spool!.ArrivingBytes != 0)
        {
            throw new SimulationException($"{life.Spool.ArrivingBytes} bytes of arriving content are accounted for after the stop");
        }

        Ledger.Stopped(life);
    }

    /// <summary>The agent dies, and is started anew after a while.</summary>
    public void KillAgent(TimeSpan away)
    {
        History.Note("world", "KILL of the agent");
        EndAgent();
        Network.After(away, StartAgent);
    }

    public void JumpClock(TimeSpan by)
    {
        ClockOffset += by;
        if (Serving is { } life)
        {
            life.Time.Offset = ClockOffset;
        }
    }

    public Server.Master.MailSystem? System => Serving is { IsUp: true } life ? life.System : null;

    public Core.Configuration.MailConfiguration Configuration(int variant)
    {
        _variant = variant;
        return SimConfiguration.Make(variant, QueueDirectory);
    }

    public const string QueueDirectory = "/var/spool/postfix";

    private void Leave(Life life, bool powerCut, TimeSpan away)
    {
        life.Die();
        Network.ProcessDied(life.Context, powerCut);
        Serving = null;
        Network.After(away, Boot);
    }

    private void StartAgent() => Agent ??= new SimAgent(this, ++_agents);

    private void EndAgent()
    {
        Agent?.Kill();
        Agent = null;
    }

    private void FinishAgent()
    {
        Agent?.Finish(TimeSpan.FromMilliseconds(_chance.Between(0, 3500)));
        Agent = null;
    }

    private void Boot()
    {
        StartAgent();
        if (Serving is null)
        {
            Serving = new Life(this, ++_lives);
            _all.Add(Serving);
            Count("start");
            Life life = Serving;
            life.Context.Run(() => life.Boot(SimConfiguration.Make(_variant, QueueDirectory)));
        }
    }

    private void RunUntil(long until, Func<bool> over)
    {
        while (true)
        {
            if (Scheduler.IsIdle && (over() || Scheduler.Now >= until))
            {
                return;
            }

            if (Scheduler.IsIdle && Scheduler.Now >= _nextCheck && Serving is { IsUp: true, Spool: not null })
            {
                _nextCheck = Scheduler.Now + CheckInterval;
                Ledger.CheckNextSteps(Serving);
            }

            Scheduler.Step(until);
            if (_lookSoon)
            {
                _lookSoon = false;
                if (Serving?.Spool is not null)
                {
                    Ledger.Look(Serving);
                }
            }

            if (Broken is { } broken)
            {
                throw broken;
            }

            if (Scheduler.Steps > MostSteps)
            {
                throw new SimulationException("the world does not come to rest");
            }
        }
    }

    /// <summary>The faults end; held mail is released, damaged mail is thrown away.</summary>
    private void CalmDown()
    {
        (IsCalm, CalmSince) = (true, Scheduler.Now);
        _events.EndAll();
        _events.ReleaseAll();
    }

    private bool IsDrained() => IsCalm
        && _clients.TrueForAll(static client => client.IsDone) && Maildrop.Count == 0 && Serving is { IsUp: true } life && life.Spool!.Index.Entries.Count == 0
        && Ledger.AllHaveLeftForGood;

    /// <summary>An empty queue takes little space, but where a bit has turned: damage is kept until somebody has looked at it.</summary>
    private bool IsSpaceWonBack => HasRotted || Platter.Segments <= MostSegmentsOfEmptyQueue;

    /// <summary>A last stop and start: what had left the queue must not come back.</summary>
    private void RestartOnce(long deadline)
    {
        int lives = _lives;
        Serving!.Context.Run(() => Serving.Stop(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(1)));
        RunUntil(deadline, () => _lives > lives && Serving is { IsUp: true } && IsSpaceWonBack);
        if (!IsDrained())
        {
            throw new SimulationException($"after the last restart there is mail again, or no mail system:\n{Ledger.Describe()}");
        }
    }

    private void CheckBounds()
    {
        if (Platter.MostHandles > 64)
        {
            throw new SimulationException($"{Platter.MostHandles} files beside the segments were open at once");
        }

        CheckSpace();
    }

    private void CheckSpace()
    {
        if (IsDrained() && !IsSpaceWonBack)
        {
            throw new SimulationException($"{Platter.Segments} segments are left of an empty queue: "
                + string.Join(", ", Serving!.Spool!.Index.Segments.Values.Select(static one => $"{one.Generation} ({one.LiveMessages} messages, {one.LiveStates} states{(one.IsLeaving ? ", leaving" : "")}{(one.KeepForever ? ", kept" : "")})")));
        }
    }

    /// <summary>Sees what the server says to its clients.</summary>
    private void Watch(SimLink link)
    {
        if (link.Server.LocalEndPoint is IPEndPoint { Port: 25 } here && here.Address.Equals(IPAddress.Parse("10.0.0.1")))
        {
            link.Server.Sending = (_, bytes) =>
            {
                if (Serving is { IsDead: false } && bytes.Span.IndexOf("queued as "u8) is var at and >= 0)
                {
                    string text = Encoding.ASCII.GetString(bytes.Span[(at + 10)..]);
                    Ledger.Acknowledged(text[..text.IndexOf('\r', StringComparison.Ordinal)]);
                }
            };
        }
    }

    /// <inheritdoc />
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"seed {Plan.Seed}");
}
