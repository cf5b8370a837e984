using Postwright.Core.Logging;
using Postwright.Server.Queue;

namespace Postwright.Server.Master.Control;

/// <summary>
/// The queue while the mail system is down, for postsuper: changes are recorded in the spool, and what they mean for deliveries
/// is seen at the next start. A requeued message is due at once then; its addresses are those that it has.
/// </summary>
public sealed class StoppedQueueControl(IMessageStore store) : IQueueControl
{
    /// <inheritdoc />
    public void Arrived(string queueId)
    {
        // Nobody schedules now.
    }

    /// <inheritdoc />
    public void Flush()
    {
        // Everything that is due is tried at the next start.
    }

    /// <inheritdoc />
    public bool Flush(string queueId) => false;

    /// <inheritdoc />
    public ValueTask FlushSiteAsync(string site, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <inheritdoc />
    public async ValueTask<bool> ChangeAsync(string queueId, QueueOperation operation, MailLog log, CancellationToken cancellationToken)
    {
        if (!store.TryGetEntry(queueId, out QueueEntry entry))
        {
            return false;
        }

        bool held = entry.Queue == QueueName.Hold;
        (QueueChange? change, string words) = operation switch
        {
            QueueOperation.Delete => (new MessageRemoved(queueId), "removed"),
            QueueOperation.Hold when !held => (new MessageHeld(queueId), "placed on hold"),
            QueueOperation.Release when held => (new MessageReleased(queueId), "released from hold"),
            QueueOperation.Requeue => (new MessageReleased(queueId), "requeued"),
            QueueOperation.Expire => (new MessageExpired(queueId, false), "expired"),
            QueueOperation.ForceExpire => (new MessageExpired(queueId, true), "expired"),
            _ => ((QueueChange?)null, ""),
        };
        if (change is null || (entry.Queue == QueueName.Corrupt && operation != QueueOperation.Delete))
        {
            return false;
        }

        if (!await store.RecordAsync([change], urgent: true))
        {
            log.Error($"{queueId}: the disk refused the change");
            return false;
        }

        log.Info($"{queueId}: {words}");
        return true;
    }

    /// <inheritdoc />
    public async IAsyncEnumerable<QueueListing> ListAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IReadOnlyList<QueueEntry> entries = store.Entries();
        foreach (QueueName queue in (QueueName[])[QueueName.Incoming, QueueName.Deferred, QueueName.Hold])
        {
            foreach (QueueEntry entry in entries.Where(one => one.Queue == queue))
            {
                using StoredMessage? message = await store.LoadAsync(entry.QueueId, cancellationToken);
                if (message is not null)
                {
                    yield return Listing(message);
                }
            }
        }
    }

    /// <summary>A message as it is listed.</summary>
    public static QueueListing Listing(StoredMessage message)
    {
        var recipients = new List<ListedRecipient>();
        for (int i = 0; i < message.States.Count; i++)
        {
            if (message.States[i].Status == RecipientStatus.Pending)
            {
                EnvelopeRecipient recipient = message.Envelope.Recipients[i];
                recipients.Add(new ListedRecipient(recipient.Address, recipient.OriginalAddress, message.States[i].DelayReason));
            }
        }

        return new QueueListing(message.Entry, false, message.Envelope.Sender, recipients);
    }
}
