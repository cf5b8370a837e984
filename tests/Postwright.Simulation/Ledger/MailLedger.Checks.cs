using System.Globalization;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Simulation.Disk;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

internal sealed partial class MailLedger
{
    // A slow disk's sync, with room.
    private static readonly long LongestResult = TimeSpan.FromSeconds(60).Ticks;

    // Longer than all time-outs of a delivery to several silent hosts, one after the other.
    private static readonly long LongestOverdue = TimeSpan.FromHours(6).Ticks;

    private readonly List<Copy> _here = [];
    private bool _recovering;

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

    /// <summary>A process died: what it had delivered and not written down may be delivered again.</summary>
    public void Crashed(Life life)
    {
        if (life.Spool is not null)
        {
            Look(life);
        }

        foreach (Copy copy in _order)
        {
            copy.Entry = null;
            copy.OverdueSince = -1;
            foreach (Effect effect in copy.Effects.Where(static effect => !effect.IsSettled && !effect.IsForgotten))
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
        if (effect.LoggedAt < world.Scheduler.Now - LongestResult && !world.DiskHadTrouble && !copy.HasLeft)
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

    /// <summary>At the end nothing is left, and everybody got what was promised.</summary>
    public void Finish()
    {
        foreach (Copy copy in _order.Where(static copy => copy.IsPublished && !copy.HasLeft))
        {
            Fail($"{copy} is still in the queue at the end");
        }

        foreach (Transaction transaction in _transactions.Values.Where(static transaction => transaction.Code / 100 == 2))
        {
            if (transaction.Copy is not { IsPublished: true } copy || !(copy.IsAcknowledged || transaction.IsLocal))
            {
                Fail($"m{transaction.Message.Number} was accepted and never was in the queue");
            }
        }
    }

    private void Publish(Copy copy, IndexEntry entry, Life life)
    {
        copy.Entry = entry;
        _here.Add(copy);
        if (copy.IsPublished)
        {
            return;
        }

        copy.IsPublished = true;
        copy.PublishedBy = _recovering ? null : life;
        if (entry.Has(EntryFlags.Corrupt))
        {
            return;
        }

        byte[] content = Load(copy, life);
        world.History.Note("ledger", $"queued {copy}");
        if (copy.IsDamaged)
        {
            return;
        }

        CheckContent(copy, Letter.Read(content));
        if (copy.Origin == CopyOrigin.Notice)
        {
            PublishNotice(copy, content);
        }

        if (copy.Origin == CopyOrigin.Client)
        {
            PublishClient(copy);
        }
        else if (copy.Origin == CopyOrigin.Forward)
        {
            PublishForward(copy);
        }
    }

    private void PublishClient(Copy copy)
    {
        if (copy.Transaction is not { DotSent: true } transaction)
        {
            Fail($"{copy} is in the queue before its client has sent the final dot");
            return;
        }

        transaction.Copy = copy;
        if (!copy.Recipients.SequenceEqual(transaction.Recipients) || copy.Sender != transaction.Message.Sender)
        {
            Fail($"{copy} has another envelope than the client gave: <{transaction.Message.Sender}> -> {string.Join(", ", transaction.Recipients)}");
        }

        if (transaction.IsLocal && _order.Find(other => other != copy && other.Transaction == transaction && other.IsPublished && !other.IsDamaged && other.Origin == CopyOrigin.Client) is { } twin)
        {
            if (twin.IsPromised)
            {
                Fail($"{copy} is a second copy of {twin}, out of one maildrop file");
            }

            // A killed process had not synced its record; the next one found it in the kernel's memory, and a power cut took it.
            Count("duplicate (c): a record that was never synced was read after a kill, and lost");
        }

        if (transaction.Code >= 400)
        {
            if (!world.DiskHadTrouble)
            {
                Fail($"{copy} was refused with {transaction.Code} and is in the queue");
            }

            Count("duplicate (c): refused after a failed sync, and the record survived");
        }

        foreach (Transaction other in _transactions.Values)
        {
            if (other != transaction && other.Message == transaction.Message && other.Copy is not null && other.Recipients.Intersect(transaction.Recipients).Any())
            {
                Transaction first = other.Attempt < transaction.Attempt ? other : transaction;
                if (first.Code / 100 == 2)
                {
                    Fail($"{copy}: the client sent again what had been accepted");
                }

                if (first.Code == 0)
                {
                    Count("duplicate (a): the client did not see the reply");
                }
            }
        }
    }

    private void PublishNotice(Copy copy, byte[] content)
    {
        Letter.Found found = Letter.Read(content);
        (copy.NoticeAction, copy.Told) = (found.Action, found.FinalRecipients);
        if (found.Cause != copy.Parent || found.FinalRecipients.Count == 0)
        {
            Fail($"{copy} tells of {found.Cause} {string.Join(", ", found.FinalRecipients)}, expected {copy.Parent}");
        }

        CheckReturned(copy);
        foreach (Copy earlier in _order.Where(other => other != copy && other.IsPublished && other.Parent == copy.Parent && other.Origin == CopyOrigin.Notice
            && other.NoticeAction == copy.NoticeAction && other.Recipients.SequenceEqual(copy.Recipients) && other.Told.Intersect(copy.Told).Any()).ToArray())
        {
            if (copy.NoticeAction == "failed")
            {
                Repeated(earlier, copy, "notice");
            }
        }
    }

    private void PublishForward(Copy copy)
    {
        foreach (Copy earlier in _order.Where(other => other != copy && other.IsPublished && other.Origin == CopyOrigin.Forward
            && other.Transaction == copy.Transaction && other.Recipients.SequenceEqual(copy.Recipients)).ToArray())
        {
            // Two copies of the client's message are forwarded each for itself.
            if (_order.Count(other => other.Transaction == copy.Transaction && other.Origin is CopyOrigin.Client or CopyOrigin.Requeue && other.IsPublished) < 2)
            {
                Repeated(earlier, copy, "forwarded message");
            }
        }
    }

    /// <summary>A message of our own was made twice: only a crash, or a disk that refused its cause's record, excuses that.</summary>
    private void Repeated(Copy earlier, Copy later, string what)
    {
        if (earlier.PublishedBy is not null && earlier.PublishedBy == later.PublishedBy && !world.DiskHadTrouble)
        {
            Fail($"{later} is a second {what} beside {earlier}, without a crash in between");
        }

        Count($"duplicate (b): {what} repeated after a crash");
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
            NoteDamage(copy, "it is said to be corrupt");
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

    /// <summary>It left the queue: every recipient has an end.</summary>
    private void CheckLeft(Copy copy)
    {
        foreach (string recipient in copy.Recipients)
        {
            string? reason = Reason(copy, recipient)
                ?? (copy.RequeueAsked && RequeuedAs(copy, recipient) ? "replaced by its requeued copy" : null)
                ?? (copy.DeleteAsked ? "deleted by the administrator" : null)
                ?? (copy.IsDamaged ? "kept in the corrupt queue" : null);
            if (reason is null)
            {
                Fail($"{copy} has left the queue, and nobody knows what became of {recipient}");
                return;
            }

            Count(reason);
        }

        world.History.Note("ledger", $"left {copy.QueueId}");
    }

    /// <summary>What became of a recipient; null if nothing has yet.</summary>
    private string? Reason(Copy copy, string recipient)
    {
        if (copy.Effects.Exists(effect => effect.Address == recipient))
        {
            return "delivered";
        }

        if (copy.Discarded.Contains(recipient))
        {
            return copy.Sender.StartsWith("double-bounce@", StringComparison.Ordinal) ? "dropped as an undeliverable notice" : "discarded";
        }

        if (copy.Expansions.TryGetValue(recipient, out string[]? members) && members.All(member => copy.Recipients.Contains(member) || IsForwarded(copy, member)))
        {
            return "replaced by its expansion";
        }

        if (_order.Exists(notice => notice.IsPublished && notice.Parent == copy.QueueId && notice.NoticeAction == "failed" && notice.Told.Contains(recipient)))
        {
            return "bounced";
        }

        bool tellsNobody = copy.Sender.Length == 0 || copy.Sender.StartsWith("double-bounce@", StringComparison.Ordinal);
        return tellsNobody && (copy.IsExpired || copy.Bounced.Contains(recipient)) ? "dropped as an undeliverable notice" : null;
    }

    private bool IsForwarded(Copy copy, string member) =>
        copy.ForwardedAs.Any(id => _copies.TryGetValue(id, out Copy? other) && other.IsPublished && other.Recipients.Contains(member));

    private bool RequeuedAs(Copy copy, string recipient) =>
        _order.Exists(other => other.Origin == CopyOrigin.Requeue && other.Parent == copy.QueueId && other.IsPublished && other.Recipients.Contains(recipient));

    private void CheckDelivery(Copy copy, Effect effect)
    {
        if (copy.Entry is { } entry && entry.RecipientCount != copy.Recipients.Count && !entry.Has(EntryFlags.Removed))
        {
            Load(copy, effect.Life);
        }

        if (!copy.IsPublished || !copy.Recipients.Contains(effect.Address))
        {
            Fail($"{copy} was delivered to {effect.Address}, which is no recipient of it");
        }

        if (copy.HasLeftForGood && !copy.DeleteAsked)
        {
            FailUnlessRot(copy, $"was delivered to {effect.Address} after it had left the queue");
        }

        foreach (Effect earlier in copy.Effects.Where(earlier => earlier.Address == effect.Address && !earlier.IsExcused))
        {
            earlier.IsExcused = true;
            if (earlier.IsForgotten)
            {
                Count("duplicate (b): a crash between a delivery and its durable result");
            }
            else if (!earlier.IsLocal && !earlier.IsAnswered)
            {
                Count("duplicate (a): the final dot was sent and its reply was not seen");
            }
            else
            {
                FailUnlessRot(copy, $"was delivered to {effect.Address} twice, without a cause");
            }
        }

        if (RequeuedAs(copy, effect.Address))
        {
            if (_order.Exists(other => other.Origin == CopyOrigin.Requeue && other.Parent == copy.QueueId && other.IsPublished && other.PublishedBy == world.Serving) && !world.DiskHadTrouble)
            {
                Fail($"{copy} was delivered to {effect.Address} after it had been requeued");
            }

            Count("duplicate (b): a crash between a requeue and its durable result");
        }
    }

    private void CheckContent(Copy copy, Letter.Found found)
    {
        if (found.Number == 0)
        {
            // A notice; it may have been requeued since.
            Copy first = copy;
            while (first.Origin == CopyOrigin.Requeue && _copies.TryGetValue(first.Parent, out Copy? old))
            {
                first = old;
            }

            if (first.Origin != CopyOrigin.Notice)
            {
                Fail($"{copy} has lost its header");
            }

            return;
        }

        if (copy.Transaction is not { } transaction || transaction.Message.Number != found.Number)
        {
            Fail($"{copy} has the content of m{found.Number}");
            return;
        }

        byte[] body = Letter.Body(world.Plan.Seed, transaction.Message);
        if (!found.Body.AsSpan().SequenceEqual(body))
        {
            Fail(string.Create(CultureInfo.InvariantCulture, $"{copy}: the body differs ({found.Body.Length} bytes, {body.Length} were sent)"));
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
        else if (!world.DiskHadTrouble && copy.Entry?.Extra is not { ContentFile: > 0 })
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
