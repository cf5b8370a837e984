using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Protocol.Mail;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Queue;

// postsuper -r: the message goes through cleanup again under a new queue ID, with the recipients that are left, so that
// virtual aliases and routes are looked up anew. The new copy is durable before the old one is removed.

public sealed partial class QueueManager
{
    private const int CopyBuffer = 64 << 10;

    /// <summary>A requeue under way. From its beginning to its end the loop counts it as work, so that no stop comes in between.</summary>
    private sealed class Requeue(string queueId)
    {
        public string QueueId => queueId;

        /// <summary>Touched by the loop only.</summary>
        public bool HasBegun { get; set; }

        /// <summary>True once the message is out of the schedule, false if it cannot be requeued.</summary>
        public TaskCompletionSource<bool> Idle { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The removal of the old copy; never completes where nothing was begun.</summary>
        public TaskCompletionSource<Task<bool>> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private async ValueTask<bool> RequeueAsync(string queueId, MailLog log, CancellationToken cancellationToken)
    {
        // Out of the schedule first, and deliveries under way run to their end: then its pending recipients stand still.
        Requeue requeue = new(queueId);
        Post(() => Begin(requeue));
        string? newId = null;
        try
        {
            newId = await requeue.Idle.Task.OrCancelledAsync(cancellationToken) ? await CopyAsync(queueId, log, cancellationToken) : null;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            log.Warning($"{queueId}: cannot be requeued: {error.Message}");
        }
        finally
        {
            bool copied = newId is not null;
            Post(() => End(requeue, copied));
        }

        if (newId is null || !await (await requeue.Ended.Task).OrCancelledAsync(cancellationToken))
        {
            return false;
        }

        log.Info($"{queueId}: requeued");
        return true;
    }

    private void Begin(Requeue requeue)
    {
        string queueId = requeue.QueueId;
        if (IsStopping || !_store.TryGetEntry(queueId, out QueueEntry entry) || entry.Queue == QueueName.Corrupt || !_requeuing.Add(queueId))
        {
            requeue.Idle.SetResult(false);
            return;
        }

        requeue.HasBegun = true;
        _working++;
        if (_active.TryGetValue(queueId, out ActiveMessage? message))
        {
            message.WhenLeft = () => requeue.Idle.SetResult(true);
            Withdraw(message);
        }
        else
        {
            requeue.Idle.SetResult(true);
        }
    }

    private void End(Requeue requeue, bool copied)
    {
        if (!requeue.HasBegun)
        {
            return;
        }

        _working--;
        _requeuing.Remove(requeue.QueueId);
        WriteRecords();
        if (copied)
        {
            requeue.Ended.SetResult(_store.RecordAsync([new MessageRemoved(requeue.QueueId)], urgent: true));
            return;
        }

        // It is still what it was: back into line, at once or when the deliveries that were not waited for have ended.
        _resumed.Enqueue(new Resumption(requeue.QueueId, true));
    }

    private async ValueTask<string?> CopyAsync(string queueId, MailLog log, CancellationToken cancellationToken)
    {
        using StoredMessage? stored = await _store.LoadAsync(queueId, cancellationToken);
        if (stored is null || _cleanup is null)
        {
            return null;
        }

        Envelope envelope = stored.Envelope with
        {
            QueueId = _store.NewQueueId(),
            Recipients = [.. stored.Envelope.Recipients.Where((_, i) => stored.States[i].Status == RecipientStatus.Pending)],
            MaildropKey = "",
            Hold = false,
        };
        uint user = _options.OwnerUid;
        log.For("pickup", log.Number).Info($"{envelope.QueueId}: uid={user} from=<{AddressText.ToExternal(envelope.Sender)}> orig_id={queueId}");
        using ICleanupMessage message = _cleanup.Begin(envelope, CleanupOptions.VirtualAliases);
        string date = MailDate.Format(_time.GetUtcNow(), _time.LocalTimeZone);
        await message.WriteAsync(_reports.ReceivedHeader(envelope.QueueId, date, $", from userid {user}"), cancellationToken);
        await CopyContentAsync(stored.Content, message, cancellationToken);
        CleanupStatus status = await message.FinishAsync(cancellationToken);
        if (status is CleanupStatus.Queued or CleanupStatus.Discarded)
        {
            return envelope.QueueId;
        }

        log.Warning($"{queueId}: cannot be requeued: {status}");
        return null;
    }

    private static async ValueTask CopyContentAsync(MessageContent content, ICleanupMessage message, CancellationToken cancellationToken)
    {
        if (content.TryGetMemory(out ReadOnlyMemory<byte> bytes))
        {
            await message.WriteAsync(bytes, cancellationToken);
            return;
        }

        byte[] buffer = new byte[CopyBuffer];
        for (long offset = 0; ;)
        {
            int count = await content.ReadAsync(offset, buffer, cancellationToken);
            if (count == 0)
            {
                return;
            }

            await message.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            offset += count;
        }
    }
}
