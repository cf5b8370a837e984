using Postwright.Server.Queue.Spool;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

// What is promised beyond "nothing is lost": a message's state survives, a stop in order forgets nothing, and mail is returned
// only for a reason that is final.
internal sealed partial class MailLedger
{
    private const EntryFlags StateFlags = EntryFlags.Hold | EntryFlags.Tried | EntryFlags.ForceExpire;

    // The longest time between two attempts, and room for slow mailboxes and long lines.
    private static readonly TimeSpan AttemptLimit = TimeSpan.FromHours(2);

    // All data-done time-outs of all variants are longer than this.
    private static readonly long ShortestPatience = TimeSpan.FromSeconds(50).Ticks;

    private readonly HashSet<string> _refusedForGood = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>A mailbox or a server has said that it will never take mail for this recipient, or this message.</summary>
    public void RefusedForGood(string recipient) => _refusedForGood.Add(recipient);

    /// <summary>The mail system has ended in order: what it knew is on the disk.</summary>
    public void Stopped(Life life)
    {
        Look(life);
        if (life.Deliveries > 0)
        {
            Fail($"the stop did not wait for {life.Deliveries} deliveries");
        }

        _order.ForEach(copy => copy.Effects.ForEach(CheckHeard));
        if (!life.HasEndedInOrder)
        {
            return;
        }

        foreach (Copy copy in _order)
        {
            // Without a row it had left before this process began, which a sync that failed at its start leaves in the open.
            if (copy.HasLeft && !copy.HasLeftForGood && copy.Entry is not null)
            {
                Fail($"{copy} has left the queue, and the stop did not write that down");
            }

            if (copy.Entry is { PendingRecords: > 0 })
            {
                Fail($"a change of {copy} was not written down by the stop");
            }

            if (!copy.HasLeft && copy.Effects.Find(effect => effect.Life == life && (effect.IsLocal || effect.IsAnswered) && !effect.IsSettled && !effect.IsForgotten) is { } effect)
            {
                Fail($"{copy} was delivered to {effect.Address}, and the stop did not write that down");
            }
        }
    }

    /// <summary>The end took longer than it may: only what is slow at that moment excuses it, a disk or a mailbox.</summary>
    public void CutOff(Life life)
    {
        _order.ForEach(copy => copy.Effects.ForEach(CheckHeard));
        if (life.Deliveries == 0 && life.Disk.SyncsUnderWay == 0 && !world.HadDiskTrouble(life.StopBegan))
        {
            Fail("the stop hung, and nothing was slow");
        }
    }

    /// <summary>A stop waits for the answer of a server that has the message, as long as it has patience.</summary>
    private void CheckHeard(Effect effect)
    {
        if (effect.LeftAt >= effect.Life.StopBegan && effect.LeftAt < effect.Life.PatienceEnds && effect.LeftAt - effect.At < ShortestPatience)
        {
            Fail($"{effect.Copy}: {effect.Where} has it for {effect.Address}, and the stop did not wait for its answer");
        }
    }

    /// <summary>Remembers when a message is to be tried next and whether it is held, once that is on the disk.</summary>
    private void NoteState(Copy copy, IndexEntry entry) => copy.State = entry.PendingRecords > 0 || world.HadDiskTrouble(world.Scheduler.Now) ? null : StateOf(entry);

    /// <summary>After a start a message is as it was.</summary>
    private void CheckState(Copy copy, IndexEntry entry)
    {
        if (copy.State is { } state && state != StateOf(entry))
        {
            FailUnlessRot(copy, $"was to be tried at {new DateTime(state.NextTicks):s} ({state.Flags}), and is now at {new DateTime(entry.NextTicks):s} ({entry.Flags & StateFlags})");
        }
    }

    private static (long NextTicks, EntryFlags Flags) StateOf(IndexEntry entry) => (entry.NextTicks, entry.Flags & StateFlags);

    /// <summary>What is returned has stayed too long, or somebody has refused it for good.</summary>
    private void CheckReturned(Copy notice)
    {
        if (notice.NoticeAction != "failed" || !_copies.TryGetValue(notice.Parent, out Copy? cause))
        {
            return;
        }

        // A notice that comes back has the recipients of the one inside as well.
        bool isCalmForLong = world.IsCalm && world.Scheduler.Now - world.CalmSince > AttemptLimit.Ticks;
        foreach (string recipient in notice.Told.Where(cause.Recipients.Contains))
        {
            if (cause.IsExpired)
            {
                if (isCalmForLong && recipient.StartsWith("ok.", StringComparison.Ordinal))
                {
                    Fail($"{notice} returns the mail for {recipient} as too old, although everything has been working for {TimeSpan.FromTicks(world.Scheduler.Now - world.CalmSince)}");
                }

                continue;
            }

            bool isNowhere = recipient.EndsWith("@error.example", StringComparison.Ordinal) || recipient.EndsWith("@nowhere.example", StringComparison.Ordinal);
            if (!isNowhere && !_refusedForGood.Contains(recipient))
            {
                Fail($"{notice} returns the mail for {recipient}, whom nobody has refused for good");
            }
        }
    }
}
