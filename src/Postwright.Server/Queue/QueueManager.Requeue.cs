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

    private async ValueTask<bool> RequeueAsync(string queueId, MailLog log, CancellationToken cancellationToken)
    {
        // Out of the schedule first, and deliveries under way run to their end: then its pending recipients stand still.
        TaskCompletionSource<bool> idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() => BeginRequeue(queueId, idle));
        if (!await idle.Task.OrCancelledAsync(cancellationToken))
        {
            return false;
        }

        string? newId = null;
        try
        {
            newId = await CopyAsync(queueId, log, cancellationToken);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            log.Warning($"{queueId}: cannot be requeued: {error.Message}");
        }

        TaskCompletionSource<Task<bool>> posted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() => posted.SetResult(EndRequeue(queueId, newId is not null)));
        bool recorded = await await posted.Task;
        if (newId is null || !recorded)
        {
            return false;
        }

        log.Info($"{queueId}: requeued");
        return true;
    }

    /// <summary>Answers true once the message is out of the schedule, false if it cannot be requeued.</summary>
    private void BeginRequeue(string queueId, TaskCompletionSource<bool> idle)
    {
        if (IsStopping || !_store.TryGetEntry(queueId, out QueueEntry entry) || entry.Queue == QueueName.Corrupt || !_requeuing.Add(queueId))
        {
            idle.SetResult(false);
            return;
        }

        if (_active.TryGetValue(queueId, out ActiveMessage? message))
        {
            message.WhenLeft = () => idle.SetResult(true);
            Withdraw(message);
        }
        else
        {
            idle.SetResult(true);
        }
    }

    private Task<bool> EndRequeue(string queueId, bool copied)
    {
        _requeuing.Remove(queueId);
        WriteRecords();
        if (copied)
        {
            return _store.RecordAsync([new MessageRemoved(queueId)], urgent: true);
        }

        // It is still what it was: back into line.
        _resumed.Enqueue(new Resumption(queueId, true));
        return Task.FromResult(true);
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
