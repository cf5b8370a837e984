using System.Text;
using Microsoft.Extensions.Time.Testing;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Report;
using Postwright.Server.Route;
using Postwright.Testing;
using Postwright.Testing.Logging;
using Postwright.Testing.Queue;

namespace Postwright.Server.Tests.Queue.Scheduling;

/// <summary>A running queue manager on a store, a clock and transports in memory.</summary>
internal sealed class QueueRig : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, TransportService> _transports = [];
    private Task? _run;

    public QueueRig(QueueManagerOptions? options = null, Func<ReportOptions, ReportOptions>? reports = null, Func<TimeProvider, TimeProvider>? clock = null)
    {
        ReportOptions report = new()
        {
            MyHostName = "mx.here.test",
            MyOrigin = "here.test",
            DoubleBounceSender = "double-bounce@mx.here.test",
            DelayWarnings = options?.DelayWarnings ?? [],
        };
        report = reports?.Invoke(report) ?? report;
        Options = options ?? new QueueManagerOptions();
        Resolver = new DomainResolver();
        Manager = new QueueManager(Options, report, Store, Resolver, Rewriter, name => _transports.GetValueOrDefault(name), clock?.Invoke(Time) ?? Time, Log.For("qmgr"));
        Cleanup = new MemoryCleanup(Store, Manager.Arrived);
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 6, 1, 12, 0, 0, TimeSpan.Zero));

    public MemoryStore Store { get; } = new();

    public MemoryCleanup Cleanup { get; }

    public LogLines Log { get; } = new();

    public QueueManagerOptions Options { get; }

    public DomainResolver Resolver { get; }

    public AddressRewriter Rewriter { get; } = new(new RewriteOptions { MyOrigin = "here.test", MyDomain = "here.test" });

    public QueueManager Manager { get; }

    public ScriptedAgent Transport(string name, TransportLimits? limits = null)
    {
        ScriptedAgent agent = new();
        _transports[name] = new TransportService(agent, limits ?? new TransportLimits(), Log.For(name));
        return agent;
    }

    public void RemoveTransport(string name) => _transports.TryRemove(name, out _);

    public void Immediate(string name, IDeliveryAgent agent) =>
        _transports[name] = new TransportService(agent, new TransportLimits(), Log.For(name));

    public void Start() => _run = Manager.RunAsync(Cleanup, _stop.Token, _giveUp.Token);

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        if (_run is { } run)
        {
            await run.WaitAsync(TimeSpan.FromSeconds(90));
        }
    }

    public string Keep(string sender, params string[] recipients) => Keep(sender, Encoding.ASCII.GetBytes("Subject: x\r\n\r\nbody\r\n"), recipients);

    public string Keep(string sender, byte[] content, params string[] recipients) =>
        Keep(sender, content, [.. recipients.Select(address => new EnvelopeRecipient(address, address))]);

    public string Keep(string sender, byte[] content, IReadOnlyList<EnvelopeRecipient> recipients, Func<Envelope, Envelope>? change = null)
    {
        Envelope envelope = new()
        {
            QueueId = Store.NewQueueId(),
            Arrival = Time.GetUtcNow(),
            Sender = sender,
            Recipients = recipients,
            Origin = MessageOrigin.Local,
            Size = content.Length,
        };
        envelope = change?.Invoke(envelope) ?? envelope;
        Store.AppendAsync(envelope, new MemoryContent(content), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        return envelope.QueueId;
    }

    public string Send(string sender, params string[] recipients)
    {
        string id = Keep(sender, recipients);
        Manager.Arrived(id);
        return id;
    }

    public Task Logged(string part) => Until.True(() => Log.All.Any(line => line.Contains(part, StringComparison.Ordinal)), State);

    public Task Eventually(Func<bool> condition) => Until.True(condition, State);

    public Task Eventually(TimeSpan step, Func<bool> condition) => Until.True(Time, step, condition, State);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
        _giveUp.Dispose();
    }

    private string State() => string.Join('\n', Log.All);
}

/// <summary>Resolves by domain: the transport that was named for it, else smtp; the domain is the next hop.</summary>
internal sealed class DomainResolver : IAddressResolver
{
    private int _asked;

    public System.Collections.Concurrent.ConcurrentDictionary<string, ResolvedAddress> Routes { get; } = [];

    /// <summary>How many resolutions were begun.</summary>
    public int Asked => Volatile.Read(ref _asked);

    /// <summary>What a resolution waits for before it answers, as for a table on a server; null for none.</summary>
    public Task? Before { get; set; }

    public async ValueTask<ResolvedAddress> ResolveAsync(string sender, string recipient, CancellationToken cancellationToken)
    {
        // The answer of the tables as they are when the question comes.
        string domain = recipient[(recipient.LastIndexOf('@') + 1)..];
        ResolvedAddress answer = Routes.TryGetValue(domain, out ResolvedAddress? route)
            ? route with { Address = recipient }
            : new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "smtp", domain, recipient);
        Interlocked.Increment(ref _asked);
        if (Before is { } before)
        {
            await before.WaitAsync(cancellationToken);
        }

        return answer;
    }
}

/// <summary>An agent that does what the test says, and may be kept waiting.</summary>
internal sealed class ScriptedAgent : IDeliveryAgent
{
    private readonly Lock _gate = new();
    private readonly List<DeliveryRequest> _requests = [];
    private int _running;
    private int _mostRunning;

    /// <summary>The answer per recipient; sent by default.</summary>
    public Func<DeliveryRequest, DeliveryRecipient, RecipientResult> Answer { get; set; } =
        (_, recipient) => new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");

    /// <summary>What a delivery waits for before it answers; nothing by default.</summary>
    public Func<DeliveryRequest, Task> Before { get; set; } = _ => Task.CompletedTask;

    public IReadOnlyList<DeliveryRequest> Requests
    {
        get
        {
            lock (_gate)
            {
                return [.. _requests];
            }
        }
    }

    /// <summary>What was delivered, by queue ID.</summary>
    public System.Collections.Concurrent.ConcurrentDictionary<string, string> Contents { get; } = new();

    public int MostRunning
    {
        get
        {
            lock (_gate)
            {
                return _mostRunning;
            }
        }
    }

    public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        Assert.True(request.Content.TryGetMemory(out ReadOnlyMemory<byte> bytes));
        Contents[request.Envelope.QueueId] = Encoding.UTF8.GetString(bytes.Span);
        lock (_gate)
        {
            _requests.Add(request);
            _mostRunning = Math.Max(_mostRunning, ++_running);
        }

        try
        {
            await Before(request).WaitAsync(cancellationToken);
            return [.. request.Recipients.Select(recipient => Answer(request, recipient))];
        }
        catch (OperationCanceledException)
        {
            return [.. request.Recipients.Select(recipient => Deferred(recipient.Index, "shut down"))];
        }
        finally
        {
            lock (_gate)
            {
                _running--;
            }
        }
    }

    public static RecipientResult Deferred(int index, string reason = "connect to mx.test[192.0.2.1]:25: Connection refused", bool site = false) =>
        new(index, DeliveryStatus.Deferred, "4.4.1", reason, "none") { SiteFailure = site };

    public static RecipientResult Bounced(int index, string reason = "host mx.test[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command)") =>
        new(index, DeliveryStatus.Bounced, "5.1.1", reason, "mx.test[192.0.2.1]:25")
        {
            RemoteMta = "mx.test",
            Diagnostic = "smtp; 550 5.1.1 No such user",
        };
}
