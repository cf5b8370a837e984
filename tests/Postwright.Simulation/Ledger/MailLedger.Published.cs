using Postwright.Server.Queue.Spool;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

// What may appear in the queue: a message whole and as its client gave it, and a notice or a forwarded message once for its cause.
internal sealed partial class MailLedger
{
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
        copy.PublishedAt = world.Scheduler.Now;
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
                FailUnlessRot(copy, $"is a second copy out of one maildrop file, beside {twin}");
            }
            else
            {
                // A killed process had not synced its record; the next one found it in the kernel's memory, and a power cut took it.
                Count("duplicate (c): a record that was never synced was read after a kill, and lost");
            }
        }

        if (transaction.Code >= 400)
        {
            if (!transaction.DiskHadTrouble)
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

    /// <summary>True when the process that made it may not have written down that it did.</summary>
    private bool IsExcused(Copy made) => made.PublishedBy is not { } life
        || (life != world.Serving && !life.HasEndedInOrder)
        || world.HadDiskTrouble(made.PublishedAt);

    /// <summary>A message of our own was made twice: only a crash, or a disk that refused its cause's record, excuses that.</summary>
    private void Repeated(Copy earlier, Copy later, string what)
    {
        if (!IsExcused(earlier))
        {
            Fail($"{later} is a second {what} beside {earlier}, without a crash in between");
        }

        Count($"duplicate (b): {what} repeated after a crash");
    }
}
