using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Simulation.Disk;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

// What the ledger reads in the queue and on the disk: which records are durable, what each message's row says, what has become unreadable.
internal sealed partial class MailLedger
{
    // Longer than all time-outs of a delivery to several silent hosts, one after the other.
    private static readonly long LongestOverdue = TimeSpan.FromHours(6).Ticks;

    private readonly List<Copy> _here = [];

    /// <summary>Before a good sync of a segment: which of the messages under way does it make durable?</summary>
    public void Syncing(SimNode node)
    {
        List<Copy> open = [.. _order.Where(static copy => !copy.IsOnDisk)];
        if (open.Count == 0)
        {
            return;
        }

        foreach (byte[] run in node.DirtyRuns())
        {
            foreach (Copy copy in open)
            {
                copy.IsOnDisk |= run.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(copy.QueueId)) >= 0;
            }
        }
    }

    /// <summary>Looks at the queue: what is new, what is done, what has left, and whether each of it has its reason.</summary>
    public void Look(Life life)
    {
        foreach (IndexEntry entry in life.Spool!.Index.Entries.Values)
        {
            if (!_copies.TryGetValue(entry.QueueId, out Copy? copy) || copy.Entry != entry)
            {
                Publish(CopyOf(entry.QueueId), entry, life);
            }
        }

        for (int i = _here.Count - 1; i >= 0; i--)
        {
            Follow(_here[i], life);
            if (_here[i].Entry is null)
            {
                _here.RemoveAt(i);
            }
        }
    }

    /// <summary>No message is without a next step: what is due is not left alone for hours, and the next attempt is not further away than one may be.</summary>
    public void CheckNextSteps(Life life)
    {
        DateTimeOffset now = life.Time.GetUtcNow();
        foreach (Copy copy in _here)
        {
            if (copy.Entry is not { } entry || entry.Has(EntryFlags.Removed) || entry.Has(EntryFlags.Hold) || entry.Has(EntryFlags.Corrupt) || entry.NextTicks > now.UtcTicks)
            {
                copy.OverdueSince = -1;
                continue;
            }

            copy.OverdueSince = copy.OverdueSince < 0 ? world.Scheduler.Now : copy.OverdueSince;
            if (world.Scheduler.Now - copy.OverdueSince > LongestOverdue)
            {
                Fail($"{copy} has been due since {new DateTimeOffset(entry.NextTicks, TimeSpan.Zero):u}, and nothing is done for it");
            }
        }
    }

    private void Follow(Copy copy, Life life)
    {
        IndexEntry entry = copy.Entry!;
        if (entry.Has(EntryFlags.Removed))
        {
            // Changes that went before the removal may be what a crash leaves of it.
            copy.State = null;
            if (!copy.HasLeft)
            {
                CheckLeft(copy);
                copy.HasLeft = true;
            }

            if (entry.Segment is null)
            {
                copy.HasLeftForGood = true;
                copy.Entry = null;
                copy.Effects.ForEach(static effect => effect.IsSettled = true);
            }

            return;
        }

        if (entry.Has(EntryFlags.Corrupt))
        {
            // Whoever dies between the mark and the line in the log has told nobody: the next start finds the damage again.
            if (!_ending || DamageReported)
            {
                NoteDamage(copy, "it is said to be corrupt");
            }

            return;
        }

        if (entry.RecipientCount != copy.Recipients.Count)
        {
            Load(copy, life);
        }

        NoteState(copy, entry);
        for (int i = 0; i < copy.Recipients.Count; i++)
        {
            if (!entry.IsDone(i))
            {
                continue;
            }

            if (copy.Done.Add(i) && Reason(copy, copy.Recipients[i]) is null)
            {
                Fail($"{copy}: {copy.Recipients[i]} is done, and nobody knows how");
            }

            if (entry.PendingRecords == 0 && copy.Settled.Add(i))
            {
                foreach (Effect effect in copy.Effects.Where(effect => effect.Address == copy.Recipients[i]))
                {
                    effect.IsSettled = true;
                }
            }
        }
    }

    private byte[] Load(Copy copy, Life life)
    {
        life.Disk.IsObserving = true;
        try
        {
            using StoredMessage stored = life.Spool!.LoadAsync(copy.QueueId, CancellationToken.None).AsTask().GetAwaiter().GetResult() ?? throw new IOException("it is not there");
            copy.Sender = stored.Envelope.Sender;
            copy.Recipients.Clear();
            copy.Recipients.AddRange(stored.Envelope.Recipients.Select(static recipient => recipient.Address));
            byte[] content = new byte[stored.Content.Length];
            for (int done = 0; done < content.Length;)
            {
                int count = stored.Content.ReadAsync(done, content.AsMemory(done), CancellationToken.None).AsTask().GetAwaiter().GetResult();
                done += count > 0 ? count : throw new IOException("the content is too short");
            }

            return content;
        }
        catch (IOException failure)
        {
            NoteDamage(copy, failure.Message);
            return [];
        }
        finally
        {
            life.Disk.IsObserving = false;
        }
    }

    private void NoteDamage(Copy copy, string what)
    {
        if (copy.IsPromised)
        {
            FailUnlessRot(copy, "cannot be read: " + what);
        }
        else if (!world.HadDiskTrouble(copy.BegunAt) && copy.Entry?.Extra is not { ContentFile: > 0 })
        {
            FailUnlessRot(copy, "was promised to nobody, and a part of its record was kept: " + what);
        }
        else if (!copy.IsDamaged)
        {
            Count("refused, and its record survived without the content: kept as corrupt");
        }

        copy.IsDamaged = true;
    }

    private void FailUnlessRot(Copy copy, string what)
    {
        if (!world.HasRotted || !DamageReported)
        {
            Fail($"{copy} {what}");
        }

        Count("bit rot, reported: " + what.Split(',', ':')[0]);
    }
}
