using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Master.Control;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Server.Receive.Pickup;
using Postwright.Server.Receive.Smtpd;
using Postwright.Server.Report;
using Postwright.Server.Route;

namespace Postwright.Server.Master;

/// <summary>
/// The mail system, put together: what the mail process runs, and the single process, and the simulation. A message comes in
/// through smtpd or pickup, goes through cleanup into the spool, and from there, by the queue manager, to a transport.
/// <para>Two lives: the spool, the queue manager, the session server and the counts of sessions live as long as the process;
/// everything that a configuration decides is a <see cref="MailGeneration"/>, which <see cref="ReloadAsync"/> replaces. Sessions and
/// deliveries keep the generation that they began with.</para>
/// </summary>
public sealed class MailSystem : IAsyncDisposable
{
    private readonly MailSystemParts _parts;
    private readonly Spool _spool;
    private readonly QueueManager _queue;
    private readonly SmtpdServer _sessions;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly Dictionary<string, SmtpdListener> _listeners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SmtpdListener.Count> _counts = new(StringComparer.Ordinal);
    private volatile MailGeneration _now;
    private volatile PickupService _pickup;
    private CancellationTokenSource _pickupStop = new();
    private Task _pickupRun = Task.CompletedTask;
    private Task _queueRun = Task.CompletedTask;
    private Task _controlRun = Task.CompletedTask;

    private MailSystem(MailSystemParts parts, Spool spool, MailConfiguration configuration)
    {
        _parts = parts;
        _spool = spool;
        _queue = new QueueManager(
            QueueManagerOptions.From(MasterRows.Under(configuration, "qmgr"), parts.OwnerUid),
            ReportOptions.From(MasterRows.Under(configuration, "bounce")),
            spool,
            new CurrentRouting(this),
            new CurrentRouting(this),
            name => _now!.Transport(name),
            parts.Time,
            LogOf(parts, configuration, "qmgr"));
        _now = new MailGeneration(configuration, parts, spool, _queue);
        _sessions = new SmtpdServer(parts.Time);
        _pickup = NewPickup(_now);
    }

    /// <summary>The queue manager, as commands see it.</summary>
    public IQueueControl Queue => _queue;

    /// <summary>The configuration in force.</summary>
    public MailConfiguration Configuration => _now.Configuration;

    /// <summary>Completes when the queue manager has ended, which before <see cref="StopAsync"/> means a bug: the process must end, and be started anew.</summary>
    public Task Ended => _queueRun;

    /// <summary>Sessions that run.</summary>
    public int SessionCount => _sessions.SessionCount;

    /// <summary>The queue on disk, for the simulation's ledger.</summary>
    internal Spool Spool => _spool;

    /// <summary>
    /// Opens the queue and builds everything, without listening yet. Null, with the reason logged as fatal, if the queue cannot
    /// be opened or the configuration would fail open.
    /// </summary>
    public static async Task<MailSystem?> CreateAsync(MailConfiguration configuration, MailSystemParts parts)
    {
        MailLog log = LogOf(parts, configuration, "master");
        Spool spool;
        try
        {
            spool = await Spool.OpenAsync(SpoolOptions.From(configuration, configuration.GetString("queue_directory")), parts.Disk, parts.Chance, parts.Time, LogOf(parts, configuration, "qmgr"));
        }
        catch (Exception failure) when (failure is IOException or SpoolInUseException or DiskException)
        {
            log.Fatal($"open queue {configuration.GetString("queue_directory")}: {failure.Message}");
            return null;
        }

        MailSystem system = new(parts, spool, configuration);
        if (system._now.Errors.ToList() is not { Count: > 0 } errors)
        {
            return system;
        }

        errors.ForEach(log.Fatal);
        system._now.Tables.Retire();
        await spool.DisposeAsync();
        return null;
    }

    /// <summary>Begins: commands, deliveries, pickup, then clients. False, logged as fatal, if commands could not reach it.</summary>
    /// <param name="listeners">Sockets by key, with the service that each belongs to.</param>
    public bool Start(IEnumerable<ServiceListener> listeners)
    {
        _controlRun = NewControl().RunAsync(_stop.Token);
        if (_controlRun.IsFaulted)
        {
            _now.Log.Fatal($"listen on the control socket: {_controlRun.Exception.InnerException?.Message}");
            return false;
        }

        _queueRun = RunIn(_parts.QueueContext, () => _queue.RunAsync(new CurrentCleanup(this), _stop.Token, _giveUp.Token));
        _pickupRun = RunPickupAsync(_now);
        AddListeners(listeners);
        return true;
    }

    /// <summary>
    /// Goes over to another configuration: new sessions, messages and deliveries follow it, running ones keep theirs.
    /// False, with the reasons logged, if it would fail open: everything stays as it was then.
    /// </summary>
    public async Task<bool> ReloadAsync(MailConfiguration configuration, IEnumerable<ServiceListener> opened, IReadOnlyCollection<string> closed)
    {
        MailGeneration next = new(configuration, _parts, _spool, _queue);
        if (next.Errors.ToList() is { Count: > 0 } errors)
        {
            errors.ForEach(next.Log.Fatal);
            next.Tables.Retire();
            return false;
        }

        // The former one's deliveries begin until the queue manager has gone over.
        MailGeneration former = _now;
        _now = next;
        _queue.Reload(
            QueueManagerOptions.From(MasterRows.Under(configuration, "qmgr"), _parts.OwnerUid),
            ReportOptions.From(MasterRows.Under(configuration, "bounce")),
            former.Tables.Retire);
        _pickupStop.Cancel();
        await _pickupRun;
        _pickupStop.Dispose();
        _pickupStop = new CancellationTokenSource();
        _pickup = NewPickup(next);
        _pickupRun = RunPickupAsync(next);
        foreach (string key in closed)
        {
            if (_listeners.Remove(key, out SmtpdListener? gone))
            {
                await gone.DisposeAsync();
            }
        }

        AddListeners(opened);
        return true;
    }

    /// <summary>
    /// Ends in order: no new clients, sessions get 421, nothing is begun any more, pickup and the queue finish what is in hand.
    /// </summary>
    /// <param name="patience">How long sessions, and servers that were sent a message and have not answered yet, may take.</param>
    public async Task StopAsync(TimeSpan patience)
    {
        foreach (SmtpdListener listener in _listeners.Values)
        {
            await listener.DisposeAsync();
        }

        _listeners.Clear();
        await using ITimer limit = _parts.Time.CreateTimer(
            static giveUp => ((CancellationTokenSource)giveUp!).Cancel(), _giveUp, patience, Timeout.InfiniteTimeSpan);
        _stop.Cancel();
        _pickupStop.Cancel();
        await _sessions.StopAsync(patience);
        await _pickupRun;
        await _queueRun;
        await _controlRun;
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _sessions.DisposeAsync();
        await _spool.DisposeAsync();
        _now.Tables.Retire();
        _pickupStop.Dispose();
        _stop.Dispose();
        _giveUp.Dispose();
    }

    private static Task RunIn(SynchronizationContext? context, Func<Task> run)
    {
        if (context is null)
        {
            return run();
        }

        TaskCompletionSource<Task> begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        context.Post(_ => begun.SetResult(run()), null);
        return begun.Task.Unwrap();
    }

    private static MailLog LogOf(MailSystemParts parts, MailConfiguration configuration, string service) =>
        new(parts.LogSink, $"{configuration.GetString("syslog_name")}/{service}", parts.ProcessNumber);

    // What it reads from main.cf cannot change while it runs: the queue's place and who owns it.
    private ControlServer NewControl()
    {
        MailConfiguration configuration = _now.Configuration;
        bool found = _parts.Host.FindGroup(configuration.GetString("setgid_group"), out uint group) == HostLookup.Found;
        MailLog log = LogOf(_parts, configuration, "showq");
        ControlOptions options = ControlOptions.From(configuration, _parts.OwnerUid, found ? group : null);
        return ControlServer.Create(options, _parts.Network, _queue, _spool, Maildrop(configuration, log), () => _pickup.Wake(), log, _parts.Time);
    }

    private PickupService NewPickup(MailGeneration generation)
    {
        MailLog log = generation.Log.For("pickup", _parts.ProcessNumber);
        return new PickupService(
            PickupOptions.From(MasterRows.Under(generation.Configuration, "pickup"), _parts.OwnerUid),
            Maildrop(generation.Configuration, log),
            generation.Cleanup,
            _spool.NewQueueId,
            log,
            _parts.Time);
    }

    private async Task RunPickupAsync(MailGeneration generation)
    {
        if (!generation.Tables.TryHold())
        {
            return;
        }

        try
        {
            await _pickup.RunAsync(_pickupStop.Token);
        }
        finally
        {
            generation.Tables.LetGo();
        }
    }

    /// <summary>The generation of the moment, with its tables held.</summary>
    private MailGeneration Hold()
    {
        MailGeneration? held = TableRegistry.HoldCurrent(() => _now, static generation => generation.Tables);
        ObjectDisposedException.ThrowIf(held is null, this);
        return held;
    }

    private IMaildrop Maildrop(MailConfiguration configuration, MailLog log) =>
        _parts.Maildrop(Path.Combine(configuration.GetString("queue_directory"), "maildrop"), log);

    private void AddListeners(IEnumerable<ServiceListener> listeners)
    {
        foreach (ServiceListener one in listeners)
        {
            if (!_counts.TryGetValue(one.Service, out SmtpdListener.Count? count))
            {
                _counts[one.Service] = count = new SmtpdListener.Count();
            }

            SmtpdListener listener = new(
                one.Listener, _sessions, () => _now.SmtpdRows.GetValueOrDefault(one.Service), count, _parts.Time, _now.Log);
            _listeners[one.Key] = listener;
            listener.Start();
        }
    }

    /// <summary>Rewriting and resolution under the configuration of the moment: the queue manager outlives them.</summary>
    private sealed class CurrentRouting(MailSystem system) : IAddressResolver, IAddressRewriter
    {
        public async ValueTask<ResolvedAddress> ResolveAsync(string sender, string recipient, CancellationToken cancellationToken)
        {
            MailGeneration now = system.Hold();
            try
            {
                return await now.Resolver.ResolveAsync(sender, recipient, cancellationToken);
            }
            finally
            {
                now.Tables.LetGo();
            }
        }

        public string Rewrite(string address) => system._now.Rewriter.Rewrite(address);
    }

    /// <summary>Cleanup under the configuration of the moment, for notices.</summary>
    private sealed class CurrentCleanup(MailSystem system) : Cleanup.ICleanup
    {
        public Cleanup.ICleanupMessage Begin(Envelope envelope, Cleanup.CleanupOptions options)
        {
            MailGeneration now = system.Hold();
            return new HoldingMessage(now.Cleanup.Begin(envelope, options), now.Tables);
        }
    }

    /// <summary>A message on its way in, which holds the tables until it is disposed.</summary>
    private sealed class HoldingMessage(Cleanup.ICleanupMessage message, TableRegistry tables) : Cleanup.ICleanupMessage
    {
        private bool _disposed;

        public void AddRecipient(EnvelopeRecipient recipient) => message.AddRecipient(recipient);

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => message.WriteAsync(bytes, cancellationToken);

        public ValueTask<Cleanup.CleanupStatus> FinishAsync(CancellationToken cancellationToken) => message.FinishAsync(cancellationToken);

        public void Dispose()
        {
            if (!_disposed)
            {
                _disposed = true;
                message.Dispose();
                tables.LetGo();
            }
        }
    }
}

/// <summary>A listening socket handed to the mail system.</summary>
/// <param name="Key">Its name, by which a reload closes it.</param>
/// <param name="Service">The row's name.</param>
/// <param name="Listener">The socket; owned by the mail system from now on.</param>
public sealed record ServiceListener(string Key, string Service, IListener Listener);
