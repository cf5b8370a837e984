using System.Runtime.CompilerServices;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Queue;

// What postqueue and postsuper ask for. Whatever touches the schedule runs in the loop; what must be durable is awaited by
// the caller, outside it. A message with deliveries under way is not waited for, but for a requeue: its new copy must not
// name recipients that a delivery is about to settle.

public sealed partial class QueueManager
{
    /// <inheritdoc />
    public void Flush() => Post(FlushDeferred);

    /// <inheritdoc />
    public bool Flush(string queueId)
    {
        if (!_store.TryGetEntry(queueId, out QueueEntry entry) || entry.Queue is QueueName.Hold or QueueName.Corrupt)
        {
            return false;
        }

        Post(() => _resumed.Enqueue(new Resumption(queueId, true)));
        return true;
    }

    /// <inheritdoc />
    public async ValueTask FlushSiteAsync(string site, CancellationToken cancellationToken)
    {
        string domain = site.StartsWith('@') ? site : "@" + site;
        foreach (QueueEntry entry in _store.Entries())
        {
            if (entry.Queue == QueueName.Deferred && await HasRecipientAsync(entry.QueueId, domain, cancellationToken))
            {
                Post(() => _resumed.Enqueue(new Resumption(entry.QueueId, true)));
            }
        }

        Post(() => ForgetOldDestinations(all: true));
    }

    /// <inheritdoc />
    public async ValueTask<bool> ChangeAsync(string queueId, QueueOperation operation, MailLog log, CancellationToken cancellationToken)
    {
        if (operation == QueueOperation.Requeue)
        {
            return await RequeueAsync(queueId, log, cancellationToken);
        }

        TaskCompletionSource<Task<bool>?> posted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() => posted.SetResult(Change(queueId, operation)));
        Task<bool>? recorded = await posted.Task.OrCancelledAsync(cancellationToken);
        if (recorded is null)
        {
            return false;
        }

        if (!await recorded.OrCancelledAsync(cancellationToken))
        {
            log.Error($"{queueId}: the disk refused the change; it is tried again");
            return false;
        }

        log.Info($"{queueId}: {Words(operation)}");
        return true;
    }

    /// <inheritdoc />
    public async IAsyncEnumerable<QueueListing> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        TaskCompletionSource<HashSet<string>> posted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() => posted.SetResult(_active.Keys.ToHashSet()));
        HashSet<string> active = await posted.Task.OrCancelledAsync(cancellationToken);
        IReadOnlyList<QueueEntry> entries = _store.Entries();
        for (int group = 0; group < 4; group++)
        {
            foreach (QueueEntry entry in entries)
            {
                if (Group(entry, active) == group && await ListingAsync(entry, group == 0, cancellationToken) is { } listing)
                {
                    yield return listing;
                }
            }
        }
    }

    /// <summary>showq's order: active, incoming, deferred, hold; -1 for what is not shown.</summary>
    private static int Group(QueueEntry entry, HashSet<string> active) => entry.Queue switch
    {
        QueueName.Hold => 3,
        QueueName.Corrupt => -1,
        _ when active.Contains(entry.QueueId) => 0,
        QueueName.Incoming => 1,
        _ => 2,
    };

    private async ValueTask<QueueListing?> ListingAsync(QueueEntry entry, bool isActive, CancellationToken cancellationToken)
    {
        try
        {
            using StoredMessage? stored = await _store.LoadAsync(entry.QueueId, cancellationToken);
            if (stored is null)
            {
                return null;
            }

            List<ListedRecipient> recipients = [];
            for (int i = 0; i < stored.States.Count; i++)
            {
                if (stored.States[i].Status == RecipientStatus.Pending)
                {
                    EnvelopeRecipient recipient = stored.Envelope.Recipients[i];
                    recipients.Add(new ListedRecipient(recipient.Address, recipient.OriginalAddress, stored.States[i].DelayReason));
                }
            }

            return new QueueListing(entry, isActive, stored.Envelope.Sender, recipients);
        }
        catch (IOException error)
        {
            _log.Warning($"{entry.QueueId}: cannot read queue file: {error.Message}");
            return null;
        }
    }

    private async ValueTask<bool> HasRecipientAsync(string queueId, string domain, CancellationToken cancellationToken)
    {
        try
        {
            using StoredMessage? stored = await _store.LoadAsync(queueId, cancellationToken);
            for (int i = 0; i < stored?.States.Count; i++)
            {
                if (stored.States[i].Status == RecipientStatus.Pending
                    && stored.Envelope.Recipients[i].Address.EndsWith(domain, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
        }
        catch (IOException error)
        {
            _log.Warning($"{queueId}: cannot read queue file: {error.Message}");
        }

        return false;
    }

    private void FlushDeferred()
    {
        ForgetOldDestinations(all: true);
        _unknownTransports.Clear();
        _flushed.Clear();
        foreach (QueueEntry entry in _store.Entries())
        {
            if (entry.Queue == QueueName.Deferred)
            {
                _flushed.Enqueue(entry.QueueId);
            }
        }
    }

    /// <summary>Records an operation; null if it does not apply. Runs in the loop, after all earlier records of the message.</summary>
    private Task<bool>? Change(string queueId, QueueOperation operation)
    {
        if (!_store.TryGetEntry(queueId, out QueueEntry entry))
        {
            return null;
        }

        _active.TryGetValue(queueId, out ActiveMessage? message);
        bool held = entry.Queue == QueueName.Hold;
        QueueChange? change = operation switch
        {
            QueueOperation.Delete => new MessageRemoved(queueId),
            QueueOperation.Hold when !held && entry.Queue != QueueName.Corrupt => new MessageHeld(queueId),
            QueueOperation.Release when held => new MessageReleased(queueId),
            QueueOperation.Expire when entry.Queue != QueueName.Corrupt => new MessageExpired(queueId, false),
            QueueOperation.ForceExpire when entry.Queue != QueueName.Corrupt => new MessageExpired(queueId, true),
            _ => null,
        };
        if (change is null)
        {
            return null;
        }

        WriteRecords();
        Task<bool> recorded = _store.RecordAsync([change], urgent: true);
        Apply(queueId, operation, message, held);
        return recorded;
    }

    private void Apply(string queueId, QueueOperation operation, ActiveMessage? message, bool held)
    {
        switch (operation)
        {
            case QueueOperation.Delete or QueueOperation.Hold when message is not null:
                message.IsRemoved = operation == QueueOperation.Delete;
                Withdraw(message);
                break;
            case QueueOperation.Release or QueueOperation.ForceExpire when held:
                _resumed.Enqueue(new Resumption(queueId, true));
                break;
            case QueueOperation.Expire or QueueOperation.ForceExpire when message is not null:
                message.ForceExpire = true;
                break;
            case QueueOperation.ForceExpire when _store.TryGetEntry(queueId, out QueueEntry released):
                // The change moved its next attempt: under the old time alone it would be passed over as out of date.
                _deferred.Add(queueId, released.NextAttempt);
                break;
        }
    }

    /// <summary>Stops trying what waits; what is under way runs to its end.</summary>
    private void Withdraw(ActiveMessage message)
    {
        message.IsWithdrawn = true;
        foreach (Peer peer in message.Peers())
        {
            // The peer keeps its place in line, empty, and is passed over when its turn comes.
            message.Open -= peer.Recipients.Count;
            peer.Recipients.Clear();
        }

        if (message.HasEntered && message.Open == 0)
        {
            EndRound(message);
        }
    }

    private static string Words(QueueOperation operation) => operation switch
    {
        QueueOperation.Delete => "removed",
        QueueOperation.Hold => "placed on hold",
        QueueOperation.Release => "released from hold",
        _ => "expired",
    };
}
