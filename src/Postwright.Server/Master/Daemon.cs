using System.Globalization;
using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Deliver;
using Postwright.Server.Receive.Pickup;

namespace Postwright.Server.Master;

/// <summary>What every daemon process has: its configuration, its log, this machine. The real world is put together here.</summary>
public sealed class Daemon : IDisposable
{
    /// <summary>A process with its log open.</summary>
    /// <param name="configuration">main.cf and master.cf.</param>
    /// <param name="destination">The log; owned by this from now on.</param>
    /// <param name="service">For the tag: master, mail, agent.</param>
    public Daemon(MailConfiguration configuration, MailLogDestination destination, string service)
    {
        Configuration = configuration;
        Destination = destination;
        Log = new MailLog(destination, $"{configuration.GetString("syslog_name")}/{service}", Environment.ProcessId);
        Network = new EventLoopNetwork(Clock, bug => Log.Panic($"event loop: {bug}"), Loops());
    }

    /// <summary>The real clock.</summary>
#pragma warning disable RS0030 // Where the real world is put together.
    public static TimeProvider Clock => TimeProvider.System;
#pragma warning restore RS0030

    /// <summary>As read at start, or at the last reload that was taken.</summary>
    public MailConfiguration Configuration { get; set; }

    /// <summary>The log.</summary>
    public MailLogDestination Destination { get; }

    /// <summary>Under the tag of this process.</summary>
    public MailLog Log { get; }

    /// <summary>The real network.</summary>
    public EventLoopNetwork Network { get; }

    /// <summary>This machine's users.</summary>
    public SystemHost Host { get; } = new(Clock);

    /// <summary>What main.cf says about the log.</summary>
    public static MailLogOptions LogOptions(MailConfiguration configuration) => new(
        configuration.GetString("maillog_file"),
        configuration.GetList("maillog_file_prefixes"),
        Convert.ToInt32(configuration.GetString("maillog_file_permissions").Trim() is { Length: > 0 and < 5 } mode && mode.All(c => c is >= '0' and <= '7') ? mode : "600", 8),
        configuration.GetString("syslog_facility"),
        Dns.GetHostName());

    /// <summary>The line that says who runs: <c>daemon started</c> and <c>reload</c>.</summary>
    public void LogVersion(string what) =>
        Log.Info($"{what} -- version {Configuration.GetString("mail_version")}, configuration {Configuration.ConfigDirectory}");

    /// <summary>The world for a mail system of this process.</summary>
    public MailSystemParts Parts(uint ownerUid, Func<MailConfiguration, TableRegistry, MailLog, IDeliveryAgent> agent) => new()
    {
        Network = Network,
        Dns = new DnsResolver(Clock),
        Disk = new LinuxDisk(),
        Maildrop = static (path, log) => new MaildropDirectory(path, log),
        Host = Host,
        Chance = new SystemChance(),
        Time = Clock,
        LogSink = Destination,
        Agent = agent,
        QueueContext = Network.NewContext("queue"),
        OwnerUid = ownerUid,
        ProcessNumber = Environment.ProcessId,
    };

    /// <summary>The services that listen; null, with the reasons logged, if a name cannot be resolved.</summary>
    public static IReadOnlyList<ListeningService>? ListeningServices(MailConfiguration configuration, MailLog log)
    {
        List<ListeningService> services = [];
        bool failed = false;
        foreach (MasterService row in configuration.Services.Where(r => MasterRows.KindOf(r) == RowKind.Smtpd))
        {
            InterfaceOptions? options = InterfaceOptions.From(configuration.GetList("inet_interfaces"), configuration.GetList("inet_protocols"));
            string? error = "bad inet_protocols value";
            IReadOnlyList<IPEndPoint>? endPoints = options is null ? null : InetService.Resolve(configuration.Expand(row.Name, row.Name), options, HostAddresses, out error);
            if (endPoints is null)
            {
                log.Fatal(string.Create(CultureInfo.InvariantCulture, $"{row.File}: line {row.Line}: {error}"));
                failed = true;
                continue;
            }

            services.Add(new ListeningService(row.Name, endPoints));
        }

        return failed ? null : services;
    }

    /// <summary>Pool threads that the process begins with: table look-ups and small file reads block a thread for a moment, and the pool adds new ones slowly.</summary>
#pragma warning disable RS0030 // A process's own setting; a simulation has no pool.
    public static void PrepareThreads() => ThreadPool.SetMinThreads(Math.Max(32, Environment.ProcessorCount * 4), Environment.ProcessorCount);
#pragma warning restore RS0030

    // Half of the processors receive; the queue's loop, which also delivers, and the disk's threads have the others.
    private static int Loops() => Math.Clamp(Environment.ProcessorCount / 2, 1, 32);

    /// <inheritdoc />
    public void Dispose() => Destination.Dispose();

    private static IReadOnlyList<IPAddress> HostAddresses(string name)
    {
        try
        {
            return Dns.GetHostAddresses(name);
        }
        catch (System.Net.Sockets.SocketException)
        {
            return [];
        }
    }
}
