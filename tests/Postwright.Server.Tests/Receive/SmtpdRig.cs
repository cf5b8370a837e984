using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;
using Postwright.Server.Receive.Smtpd;
using Postwright.Server.Route;
using Postwright.Testing.Dns;
using Postwright.Testing.Logging;
using Postwright.Testing.Network;
using Postwright.Testing.Queue;

namespace Postwright.Server.Tests.Receive;

/// <summary>An SMTP server on connections in memory, with real parsing, restrictions, routing and cleanup, and a store in memory.</summary>
internal sealed class SmtpdRig : IAsyncDisposable
{
    /// <summary>The dialogues' configuration; they add to it.</summary>
    public const string BaseSettings = Postwright.Testing.Dialogues.DialogueSettings.MainCf;


    private readonly List<Task> _sessions = [];
    private readonly TableRegistry _tables;

    public SmtpdRig(string settings = "", FakeDns? dns = null, TimeProvider? time = null)
    {
        Time = time ?? TimeProvider.System;
        MailConfiguration configuration = Configure(settings);
        _tables = new TableRegistry(Log.For("smtpd"), Time, remote: new RemoteTables(configuration));
        AddressRewriter rewriter = new(RewriteOptions.From(configuration));
        AddressResolver resolver = new(ResolverOptions.From(configuration, _tables), rewriter, Log.For("smtpd"));
        Queue = new NotedQueue();
        CleanupService cleanup = new(
            CleanupSettings.From(configuration), Store, Queue, rewriter, VirtualAliases.From(configuration, _tables, resolver, rewriter), Time, Log.For("cleanup"));
        Service = new SmtpdService(configuration, "smtp", new SmtpdParts
        {
            Tables = _tables,
            Store = Store,
            Cleanup = cleanup,
            Queue = Queue,
            Classifier = resolver,
            Dns = dns ?? new FakeDns(),
            Time = Time,
            Log = Log.For("smtpd"),
        });
        Server = new SmtpdServer(Time);
    }

    /// <summary>The base settings with others on top, as <c>-o</c> overrides.</summary>
    public static MailConfiguration Configure(string settings) => MailConfiguration.FromText(BaseSettings).WithOverrides(
        settings.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Split('=', 2, StringSplitOptions.TrimEntries))
            .Select(static parts => KeyValuePair.Create(parts[0], parts[1])));

    public TimeProvider Time { get; }

    public LogLines Log { get; } = new();

    public MemoryStore Store { get; } = new();

    public NotedQueue Queue { get; }

    public SmtpdService Service { get; }

    public SmtpdServer Server { get; }

    /// <summary>Messages in the store, as text.</summary>
    public async Task<IReadOnlyList<(Envelope Envelope, string Content)>> MessagesAsync()
    {
        List<(Envelope, string)> messages = [];
        foreach (QueueEntry entry in Store.Entries())
        {
            using StoredMessage message = (await Store.LoadAsync(entry.QueueId, CancellationToken.None))!;
            Assert.True(message.Content.TryGetMemory(out ReadOnlyMemory<byte> bytes));
            messages.Add((message.Envelope, System.Text.Encoding.Latin1.GetString(bytes.Span)));
        }

        return messages;
    }

    /// <summary>A client from <paramref name="address"/>.</summary>
    public MemoryConnection Connect(string address = "127.0.0.1")
    {
        (MemoryConnection client, MemoryConnection server) = MemoryConnection.Pair(
            new IPEndPoint(IPAddress.Parse(address), 34567), new IPEndPoint(IPAddress.Loopback, 25));
        _sessions.Add(Server.RunAsync(server, Service));
        return client;
    }

    /// <summary>Waits until all sessions are over.</summary>
    public Task SessionsEndAsync() => Task.WhenAll(_sessions).WaitAsync(TimeSpan.FromSeconds(90));

    public async ValueTask DisposeAsync()
    {
        await Server.StopAsync(TimeSpan.Zero);
        await Server.DisposeAsync();
        _tables.Dispose();
    }

    /// <summary>Notes what it is told.</summary>
    internal sealed class NotedQueue : IQueueControl
    {
        private readonly Lock _gate = new();
        private readonly List<string> _arrived = [];
        private readonly List<string> _flushed = [];

        public IReadOnlyList<string> ArrivedIds
        {
            get
            {
                lock (_gate)
                {
                    return [.. _arrived];
                }
            }
        }

        public IReadOnlyList<string> FlushedSites => _flushed;

        public void Arrived(string queueId)
        {
            lock (_gate)
            {
                _arrived.Add(queueId);
            }
        }

        public void Flush()
        {
        }

        public bool Flush(string queueId) => false;

        public ValueTask FlushSiteAsync(string site, CancellationToken cancellationToken)
        {
            _flushed.Add(site);
            return ValueTask.CompletedTask;
        }

        public ValueTask<bool> ChangeAsync(string queueId, QueueOperation operation, MailLog log, CancellationToken cancellationToken) => ValueTask.FromResult(false);

        public async IAsyncEnumerable<QueueListing> ListAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            yield break;
        }
    }
}
