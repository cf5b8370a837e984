using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Master;

/// <summary>
/// mail: $mail_owner, and everything that faces the network. Runs a <see cref="MailSystem"/> on the sockets that master passed,
/// reloads when master says so, and ends when master's channel does.
/// </summary>
public static class MailProcess
{
    // The rest of the limit is for writing down what became of it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2.5);

    // Master kills what has not ended after four seconds.
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(3);

    /// <summary>Runs until master wants an end; the exit status.</summary>
    /// <param name="child">What master passed.</param>
    public static async Task<int> RunAsync(ChildProcess child)
    {
        Daemon daemon = child.Daemon;
        Daemon.PrepareThreads();
        using DeliveryWorkers workers = new("delivery");
        using AgentClient agent = new(() => FrameSocket.Connect(AgentProcess.SocketPath(daemon.Configuration)), workers, daemon.Log);
        await using MailSystem? system = await MailSystem.CreateAsync(
            daemon.Configuration, daemon.Parts(MasterCalls.EffectiveUser(), (configuration, tables, log) =>
                agent.With(ServedTables.From(configuration, tables, Daemon.Clock, log.For("proxymap", log.Number)))));
        if (system is null)
        {
            return 1;
        }

        if (!system.Start(Listeners(daemon, child.Inherited.All.Select(d => new PassedDescriptor(d.Name, d.Descriptor)))))
        {
            return 1;
        }

        child.SayReady();
        while (await NextAsync(child, system) is { } message)
        {
            child.TakeLog(message);
            MailConfiguration next = MailConfiguration.Load(daemon.Configuration.ConfigDirectory);
            daemon.Configuration = next;
            await system.ReloadAsync(next, Listeners(daemon, message.Opened), message.Closed);
        }

        if (system.Ended.IsFaulted)
        {
            return 1;
        }

        await Task.WhenAny(system.StopAsync(Patience), Task.Delay(StopLimit, Daemon.Clock));
        return 0;
    }

    // The next message; null when master wants an end, or the queue manager has failed.
    private static async Task<ReloadMessage?> NextAsync(ChildProcess child, MailSystem system)
    {
        Task<bool> more = HasMoreAsync(child);
        return await Task.WhenAny(more, system.Ended) == more && await more && child.Messages.TryRead(out ReloadMessage? message) ? message : null;
    }

    private static async Task<bool> HasMoreAsync(ChildProcess child) => await child.Messages.WaitToReadAsync();

    // The part of a key before the address is its service's name; see ListenerSet.KeyOf.
    private static IEnumerable<ServiceListener> Listeners(Daemon daemon, IEnumerable<PassedDescriptor> passed)
    {
        foreach (PassedDescriptor one in passed)
        {
            string name = one.Name.Split('#')[0];
            MasterService? row = daemon.Configuration.Services.FirstOrDefault(r => MasterRows.KindOf(r) == RowKind.Smtpd && ListenerSet.NameInKey(r.Name) == name);
            if (row is not null && one.Name.Contains('#', StringComparison.Ordinal))
            {
                yield return new ServiceListener(one.Name, row.Name, daemon.Network.Adopt(one.Descriptor));
            }
        }
    }
}
