using System.Net.Sockets;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Master;

/// <summary>
/// Everything in one process, as one user: what an ordinary user gets, the demonstration and most tests. The same classes as in
/// three processes; the agent is in here, and master's part is the listening sockets, reload and stop.
/// </summary>
public static class SingleProcess
{
    // Among the signals: the queue manager has ended by itself.
    private const int QueueFailed = -1;

    // postfix stop waits five seconds before it uses force.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(4);

    /// <summary>Runs until a signal ends it; the exit status.</summary>
    /// <param name="daemon">Configuration and log, under master's tag.</param>
    /// <param name="signals">What ends or reloads it.</param>
    /// <param name="inherited">What was passed to this process: sockets of systemd's.</param>
    /// <param name="load">Reads the configuration anew; null, with the errors logged, where it must not be used.</param>
    /// <param name="ready">Called once clients are served.</param>
    public static async Task<int> RunAsync(
        Daemon daemon, DaemonSignals signals, InheritedDescriptors inherited, Func<MailConfiguration?> load, Action ready)
    {
        _ = Trampoline.RaiseFileLimit();
        Daemon.PrepareThreads();
        using ListenerSet sockets = new();
        sockets.Inherit(inherited.All.Where(d => d.Name != MasterStart.ReadyName).Select(d => d.Descriptor));
        if (Daemon.ListeningServices(daemon.Configuration, daemon.Log) is not { } services
            || !sockets.Update(services, daemon.Log, out IReadOnlyList<string> opened, out _))
        {
            return 1;
        }

        using DeliveryWorkers workers = new("delivery");
        await using MailSystem? system = await MailSystem.CreateAsync(daemon.Configuration, daemon.Parts(MasterCalls.EffectiveUser(), (configuration, tables, log) =>
            new InProcessAgent(AgentServices.From(configuration, tables, daemon.Host, Daemon.Clock, log.For("local", log.Number)), workers, log)));
        if (system is null)
        {
            return 1;
        }

        if (!system.Start(Listeners(opened, services, sockets, daemon)))
        {
            return 1;
        }

        daemon.LogVersion("daemon started");
        ready();
        _ = TellEndAsync(system, signals);
        while (await signals.Received.ReadAsync() is var signal)
        {
            if (signal == QueueFailed)
            {
                return 1;
            }

            if (!DaemonSignals.IsReload(signal))
            {
                daemon.Log.Info($"terminating on signal {signal}");
                break;
            }

            await ReloadAsync(daemon, system, sockets, load);
        }

        await Task.WhenAny(system.StopAsync(Patience), Task.Delay(StopLimit, Daemon.Clock));
        return 0;
    }

    private static async Task TellEndAsync(MailSystem system, DaemonSignals signals)
    {
        // However it ended: WhenAny does not throw.
        await Task.WhenAny(system.Ended);
        signals.Raise(QueueFailed);
    }

    private static async Task ReloadAsync(Daemon daemon, MailSystem system, ListenerSet sockets, Func<MailConfiguration?> load)
    {
        if (load() is not { } configuration || Daemon.ListeningServices(configuration, daemon.Log) is not { } services)
        {
            return;
        }

        daemon.Configuration = configuration;
        daemon.LogVersion("reload");
        if (MailLogDestination.OpenFile(Daemon.LogOptions(configuration), out _) is { } file)
        {
            daemon.Destination.Replace(file);
        }

        if (sockets.Update(services, daemon.Log, out IReadOnlyList<string> opened, out IReadOnlyList<string> closed))
        {
            await system.ReloadAsync(configuration, Listeners(opened, services, sockets, daemon), [.. closed]);
        }
    }

    private static IEnumerable<ServiceListener> Listeners(
        IReadOnlyList<string> keys, IReadOnlyList<ListeningService> services, ListenerSet sockets, Daemon daemon)
    {
        foreach (string key in keys)
        {
            Socket socket = sockets.Open[key];
            string service = services.First(s => s.EndPoints.Any(e => ListenerSet.KeyOf(s.Service, e) == key)).Service;
            int copy = MasterCalls.Control((int)socket.Handle, MasterCalls.DuplicateCloseOnExec, InheritedDescriptors.First);
            yield return new ServiceListener(key, service, daemon.Network.Adopt(copy));
        }
    }
}
