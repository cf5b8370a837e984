using System.Net;
using Postwright.Core.Logging;
using Postwright.Server.Queue;
using Postwright.Simulation.Disk;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Network;

namespace Postwright.Simulation.World;

/// <summary>Makes the plan's items happen: faults begin and end, the administrator gives commands.</summary>
internal sealed class WorldEvents(SimWorld world, Rng chance)
{
    private readonly Dictionary<IPAddress, Reachability> _down = [];
    private int _full;

    public void Begin(PlanItem item)
    {
        if (world.IsCalm)
        {
            return;
        }

        world.History.Note("plan", item.ToString());
        if (item.Length > TimeSpan.Zero)
        {
            world.Count(item.Kind.ToString());
            Action end = Trouble(item);
            world.Network.After(item.Length, () =>
            {
                world.History.Note("plan", $"end of {item.Id} {item.Kind}");
                end();
            });
            return;
        }

        Once(item);
    }

    /// <summary>Everything works from now on.</summary>
    public void EndAll()
    {
        world.Serving?.DieAtWrite(0, powerCut: false);
        world.DiskFaults.Clear();
        world.Dns.Failing = 0;
        world.Network.Delay = TimeSpan.Zero;
        world.MailboxTrouble = 0;
        _down.Clear();
        foreach (RemoteServer server in world.Servers)
        {
            server.Mode = PeerMode.Good;
        }
    }

    /// <summary>The administrator releases what is on hold and throws away what is damaged, now and then until nothing is left.</summary>
    public async void ReleaseAll()
    {
        while (true)
        {
            foreach (QueueEntry entry in world.Serving is { IsUp: true } life ? life.Spool!.Entries() : [])
            {
                if (entry.Queue == QueueName.Hold)
                {
                    Command(entry.QueueId, QueueOperation.Release);
                }
                else if (entry.Queue == QueueName.Corrupt)
                {
                    Command(entry.QueueId, QueueOperation.Delete);
                }
            }

            await Task.Delay(TimeSpan.FromHours(1), world.Time);
        }
    }

    private void Once(PlanItem item)
    {
        Life? life = world.Serving;
        switch (item.Kind)
        {
            case PlanKind.Kill or PlanKind.PowerCut when life is not null:
                world.Count(item.Kind == PlanKind.Kill ? "kill" : "power cut");
                world.Crash(life, item.Kind == PlanKind.PowerCut);
                break;
            case PlanKind.KillAtWrite or PlanKind.PowerCutAtWrite:
                life?.DieAtWrite(item.Value, item.Kind == PlanKind.PowerCutAtWrite);
                break;
            case PlanKind.Stop:
                life?.Context.Run(() => life.Stop(TimeSpan.FromSeconds(item.Value % 8), TimeSpan.FromSeconds(1 + (item.Value % 100))));
                break;
            case PlanKind.Reload:
                life?.Context.Run(() => life.Reload(world.Configuration(item.Value)));
                break;
            case PlanKind.ClockJump:
                bool back = item.Value % 3 == 0;
                world.Count(back ? "clock set back" : "clock jump");
                world.JumpClock(back ? -TimeSpan.FromSeconds(item.Value % 1800) : TimeSpan.FromSeconds(item.Value % 200_000));
                break;
            case PlanKind.AgentKill:
                world.Count("agent killed");
                world.KillAgent(TimeSpan.FromMilliseconds(item.Value % 5000));
                break;
            case PlanKind.BitRot:
                Rot();
                break;
            case PlanKind.Cut or PlanKind.HalfOpen when world.Network.Links.Count > 0:
                SimLink link = world.Network.Links[item.Value % world.Network.Links.Count];
                world.Count(item.Kind == PlanKind.Cut ? "connection cut" : "connection half open");
                (item.Kind == PlanKind.Cut ? (Action)link.Cut : link.Silence)();
                break;
            default:
                Administrate(item);
                break;
        }
    }

    private Action Trouble(PlanItem item)
    {
        DiskFaults disk = world.DiskFaults;
        switch (item.Kind)
        {
            case PlanKind.SyncsFail:
                disk.FailingSyncs = item.Value;
                return () => disk.FailingSyncs = 0;
            case PlanKind.WritesFail:
                disk.FailingWrites = item.Value;
                return () => disk.FailingWrites = 0;
            case PlanKind.ReadsFail:
                disk.FailingReads = item.Value;
                return () => disk.FailingReads = 0;
            case PlanKind.NamesFail:
                disk.FailingNames = item.Value;
                return () => disk.FailingNames = 0;
            case PlanKind.DiskFull:
                disk.Full = true;
                _full++;
                return () => disk.Full = --_full > 0 && !world.IsCalm;
            case PlanKind.SlowDisk:
                disk.SlowSync = TimeSpan.FromSeconds(1 + (item.Value % 20));
                return () => disk.SlowSync = TimeSpan.FromMilliseconds(2);
            case PlanKind.SlowNetwork:
                world.Network.Delay = TimeSpan.FromMilliseconds(1 + (item.Value % 4000));
                return () => world.Network.Delay = TimeSpan.Zero;
            case PlanKind.DnsFails:
                world.Dns.Failing = 30 + (item.Value % 71);
                return () => world.Dns.Failing = 0;
            case PlanKind.Mailboxes:
                world.MailboxTrouble = 1 + (item.Value % 2);
                return () => world.MailboxTrouble = 0;
            case PlanKind.HostDown:
                IPAddress address = world.Servers[item.Value % world.Servers.Count].Address;
                _down[address] = (Reachability)(1 + (item.Value / 8 % 3));
                world.Network.Reach = point => _down.GetValueOrDefault(point.Address);
                return () => _down.Remove(address);
            default:
                RemoteServer server = world.Servers[item.Value % world.Servers.Count];
                server.Mode = (PeerMode)(1 + (item.Value / 8 % (int)PeerMode.NeverEnds));
                return () => server.Mode = PeerMode.Good;
        }
    }

    /// <summary>A bit turns in a file of the spool, not in what was synced last: that cannot be told from a torn write.</summary>
    private void Rot()
    {
        List<(string Path, SimNode Node)> files = [.. world.Platter.Files.Select(static file => (file.Key, file.Value)).Where(static file =>
            file.Key.EndsWith(".log", StringComparison.Ordinal) || file.Key.EndsWith(".content", StringComparison.Ordinal) || IsIndex(file.Key))];
        if (files.Count == 0)
        {
            return;
        }

        (string path, SimNode node) = files[chance.Next(files.Count)];
        List<int> pages = node.WrittenPages();
        if (pages.Count == 0)
        {
            return;
        }

        long offset = ((long)pages[chance.Next(pages.Count)] * SimNode.PageSize) + chance.Next(SimNode.PageSize);
        if ((IsIndex(path) || offset < node.LastSync.From || offset >= node.LastSync.To) && node.Rot(offset, chance.Next(8)))
        {
            // A damaged index is not used: nothing is lost by it, and nothing is excused.
            world.Count(IsIndex(path) ? "bit rot in the index" : "bit rot");
            world.HasRotted |= !IsIndex(path);
            world.History.Note("disk", $"a bit of {path} turns at {offset}");
        }
    }

    private static bool IsIndex(string path) => path.EndsWith("/index", StringComparison.Ordinal);

    private void Administrate(PlanItem item)
    {
        if (world.System is not { } system)
        {
            return;
        }

        if (item.Kind == PlanKind.Flush)
        {
            world.Count("flush");
            system.Queue.Flush();
            return;
        }

        IReadOnlyList<QueueEntry> entries = world.Serving!.Spool!.Entries();
        if (entries.Count == 0)
        {
            return;
        }

        if (item.Kind == PlanKind.List)
        {
            List();
            return;
        }

        Command(entries[item.Value % entries.Count].QueueId, item.Kind switch
        {
            PlanKind.Delete => QueueOperation.Delete,
            PlanKind.Hold => QueueOperation.Hold,
            PlanKind.Release => QueueOperation.Release,
            PlanKind.Requeue => QueueOperation.Requeue,
            PlanKind.Expire => QueueOperation.Expire,
            _ => QueueOperation.ForceExpire,
        });
    }

    private void Command(string queueId, QueueOperation operation)
    {
        Life life = world.Serving!;
        world.Count($"postsuper {operation}");
        world.History.Note("postsuper", $"{operation} {queueId}");
        if (operation == QueueOperation.Delete)
        {
            world.Ledger.DeleteAsked(queueId);
        }
        else if (operation == QueueOperation.Requeue)
        {
            world.Ledger.RequeueAsked(queueId);
        }

        life.RunCommand(async end =>
        {
            bool done = await life.System!.Queue.ChangeAsync(queueId, operation, new MailLog(life, "postfix/postsuper", 1), end);
            if (done && !life.IsDead && operation == QueueOperation.Delete)
            {
                world.Ledger.DeleteDone(queueId);
            }
        });
    }

    private void List()
    {
        Life life = world.Serving!;
        world.Count("postqueue -p");
        life.RunCommand(async end =>
        {
            await foreach (QueueListing listing in life.System!.Queue.ListAsync(end))
            {
                world.History.Note("postqueue", $"{listing.Entry.QueueId} {listing.Entry.Queue} {listing.Recipients.Count}");
            }
        });
    }
}
