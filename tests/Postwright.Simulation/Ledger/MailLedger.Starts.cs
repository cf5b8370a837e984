using Postwright.Server.Queue.Spool;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

// What the end of a process may forget, and what the next one must find again.
internal sealed partial class MailLedger
{
    // A slow disk's syncs, with room; and those of a good one.
    private static readonly long LongestResult = TimeSpan.FromSeconds(60).Ticks;
    private static readonly long GoodResult = TimeSpan.FromSeconds(1).Ticks;

    private bool _recovering;
    private bool _ending;

    /// <summary>A process has ended: what it had delivered and not written down may be delivered again, unless it stopped in order.</summary>
    public void Crashed(Life life)
    {
        if (life.Spool is not null)
        {
            _ending = true;
            Look(life);
            _ending = false;
        }

        foreach (Copy copy in _order)
        {
            copy.Entry = null;
            copy.OverdueSince = -1;
            foreach (Effect effect in copy.Effects.Where(effect => effect.Life == life && !life.HasEndedInOrder && !effect.IsSettled && !effect.IsForgotten))
            {
                effect.IsForgotten = true;
                CheckInFlight(copy, effect);
            }
        }

        _here.Clear();
    }

    /// <summary>What a crash may forget was in flight: a result is written within milliseconds, unless the disk refuses it.</summary>
    private void CheckInFlight(Copy copy, Effect effect)
    {
        long longest = world.HadSlowDisk(world.Scheduler.Now) ? LongestResult : GoodResult;
        if (effect.LoggedAt < world.Scheduler.Now - longest && !world.HadDiskTrouble(effect.LoggedAt) && !copy.HasLeft)
        {
            Fail($"{copy}: the delivery to {effect.Address} ended long before the crash, and its result was not on the disk");
        }
    }

    /// <summary>A process has read the queue: everything promised must be in it.</summary>
    public void Recovered(Life life)
    {
        Dictionary<string, IndexEntry> entries = life.Spool!.Index.Entries;
        foreach (Copy copy in _order.ToArray())
        {
            bool present = entries.TryGetValue(copy.QueueId, out IndexEntry? entry);
            if (present && copy.HasLeftForGood)
            {
                FailUnlessRot(copy, "came back after it had left the queue for good");
            }
            else if (present && copy.IsPublished)
            {
                foreach (int done in copy.Settled.Where(index => !entry!.IsDone(index)).ToArray())
                {
                    FailUnlessRot(copy, $"the result of {copy.Recipients[done]} was on disk and is lost");
                }

                CheckState(copy, entry!);
            }
            else if (!present && copy.IsPublished && !copy.HasLeft)
            {
                if (copy.IsPromised)
                {
                    FailUnlessRot(copy, "was accepted and is lost");
                }

                copy.HasLeft = true;
            }

            // What a killed process has left in the kernel's memory is durable once the next one could sync it.
            copy.HasLeftForGood |= !present && copy.HasLeft && !life.Disk.SyncFailedAtStart;
            copy.HasLeft &= !present;
            copy.Done.RemoveWhere(index => entry?.IsDone(index) != true);
            copy.Settled.Clear();
            copy.IsOnDisk |= present && world.LastEndWasPowerCut;
        }

        _recovering = true;
        Look(life);
        _recovering = false;
    }
}
