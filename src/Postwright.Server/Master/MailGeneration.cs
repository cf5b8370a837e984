using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Cleanup;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Smtp;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Receive.Smtpd;
using Postwright.Server.Route;

namespace Postwright.Server.Master;

/// <summary>
/// Everything of the mail system that one configuration makes: tables, rewriting, routing, cleanup, the smtpd services and the
/// transports. A reload makes a new one; what began under the old one ends under it. Every session, delivery and resolution holds
/// <see cref="Tables"/> while it goes on, so that the files of a former configuration are closed when the last of them ends.
/// </summary>
internal sealed class MailGeneration
{
    private readonly Dictionary<string, TransportService> _transports = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SmtpdRow> _rows = new(StringComparer.Ordinal);

    /// <summary>Builds all of it.</summary>
    /// <param name="configuration">main.cf and master.cf, found free of errors.</param>
    /// <param name="parts">The world.</param>
    /// <param name="store">The queue.</param>
    /// <param name="queue">The queue manager, as others see it.</param>
    public MailGeneration(MailConfiguration configuration, MailSystemParts parts, IMessageStore store, IQueueControl queue)
    {
        Configuration = configuration;
        Log = new MailLog(parts.LogSink, configuration.GetString("syslog_name") + "/master", parts.ProcessNumber);
        Tables = new TableRegistry(
            Log.For("proxymap", parts.ProcessNumber),
            parts.Time,
            parts.Host,
            parts.Chance,
            new RemoteTables(configuration),
            configuration.GetInt("line_length_limit"),
            configuration.GetBool("smtputf8_enable"));
        AddressRewriter rewriter = new(RewriteOptions.From(configuration), Log.For("trivial-rewrite", parts.ProcessNumber));
        Rewriter = rewriter;
        AddressResolver resolver = new(ResolverOptions.From(configuration, Tables), rewriter, Log.For("trivial-rewrite", parts.ProcessNumber));
        Resolver = resolver;
        MailConfiguration cleanup = MasterRows.Under(configuration, configuration.GetString("cleanup_service_name"));
        Cleanup = new CleanupService(
            CleanupSettings.From(cleanup),
            store,
            queue,
            rewriter,
            VirtualAliases.From(cleanup, Tables, resolver, rewriter),
            parts.Time,
            Log.For("cleanup", parts.ProcessNumber));
        AddTransports(parts);
        AddSmtpd(new SmtpdParts
        {
            Tables = Tables,
            Store = store,
            Cleanup = Cleanup,
            Queue = queue,
            Classifier = resolver,
            Dns = parts.Dns,
            Time = parts.Time,
            Log = Log.For("smtpd", parts.ProcessNumber),
            OwnAddresses = [.. configuration.OwnAddresses.Select(own => own.Address)],
        }, parts.LogSink);
    }

    /// <summary>What it was made from.</summary>
    public MailConfiguration Configuration { get; }

    /// <summary>Under the tag of master.</summary>
    public MailLog Log { get; }

    /// <summary>Its tables: to be held by whoever uses anything of it, and retired once there is a newer one.</summary>
    public TableRegistry Tables { get; }

    /// <summary>Chooses transports.</summary>
    public IAddressResolver Resolver { get; }

    /// <summary>Completes addresses.</summary>
    public IAddressRewriter Rewriter { get; }

    /// <summary>Takes messages in.</summary>
    public CleanupService Cleanup { get; }

    /// <summary>What would make a restriction fail open or closed by mistake; start refuses.</summary>
    public IEnumerable<string> Errors => _rows.Values.SelectMany(row => row.Calm.Errors).Distinct();

    /// <summary>The smtpd rows by service name.</summary>
    public IReadOnlyDictionary<string, SmtpdRow> SmtpdRows => _rows;

    /// <summary>The transport of that name, or null.</summary>
    public TransportService? Transport(string name) => _transports.GetValueOrDefault(name);

    private void AddTransports(MailSystemParts parts)
    {
        IDeliveryAgent? agent = null;
        HashSet<System.Net.IPAddress> own = [.. Configuration.OwnAddresses.Select(a => a.Address)];
        foreach (MasterService row in Configuration.Services.Where(r => MasterRows.KindOf(r) == RowKind.Transport))
        {
            MailConfiguration settings = MasterRows.ConfigurationOf(Configuration, row);
            MailLog log = new(parts.LogSink, $"{settings.GetString("syslog_name")}/{row.Command}", parts.ProcessNumber);
            IDeliveryAgent delivery = row.Command switch
            {
                "smtp" or "lmtp" => new SmtpTransport(
                    SmtpClientOptions.From(settings, row.Command == "lmtp", own), parts.Network, parts.Dns, parts.Time, parts.Chance, log),
                "error" => new ErrorTransport(isRetry: row.Name == "retry"),
                "discard" => new DiscardTransport(),
                _ => agent ??= parts.Agent(Configuration, Tables, Log),
            };
            _transports[row.Name] = new TransportService(delivery, TransportLimits.From(settings, row.Name, row.ProcessLimit), log)
            {
                Tables = delivery == agent ? Tables : null,
            };
        }
    }

    private void AddSmtpd(SmtpdParts smtpd, ILogSink sink)
    {
        foreach (MasterService row in Configuration.Services.Where(r => MasterRows.KindOf(r) == RowKind.Smtpd))
        {
            MailConfiguration settings = MasterRows.ConfigurationOf(Configuration, row);
            IReadOnlyList<string> overrides = settings.GetList("receive_override_options");
            SmtpdParts own = smtpd with
            {
                Log = new MailLog(sink, settings.GetString("syslog_name") + "/smtpd", smtpd.Log.Number),
                SkipsUnknownRecipientChecks = overrides.Contains("no_unknown_recipient_checks"),
                SkipsAddressMappings = overrides.Contains("no_address_mappings"),
            };
            MailConfiguration stressed = settings.WithOverrides([.. row.Overrides, new("stress", "yes"), new("service_name", row.Name)]);
            int limit = row.ProcessLimit ?? settings.GetInt("postwright_session_limit");
            _rows[row.Name] = new SmtpdRow(
                row.Name,
                new SmtpdService(settings, row.Name, own),
                new SmtpdService(stressed, row.Name, own),
                Tables,
                limit == 0 ? settings.GetInt("postwright_session_limit") : limit);
        }
    }
}

/// <summary>An smtpd row under one configuration: its settings in calm and under stress, and how many sessions it may have.</summary>
/// <param name="Name">The service's name.</param>
/// <param name="Calm">Settings where <c>stress</c> is empty.</param>
/// <param name="Stressed">Settings where it is yes.</param>
/// <param name="Tables">What both look up in; each session holds them.</param>
/// <param name="SessionLimit">maxproc, or postwright_session_limit.</param>
internal sealed record SmtpdRow(string Name, SmtpdService Calm, SmtpdService Stressed, TableRegistry Tables, int SessionLimit);
