using Postwright.Core.Logging;

namespace Postwright.Server.Queue;

/// <summary>A queued message as postqueue shows it.</summary>
/// <param name="Entry">Index row.</param>
/// <param name="IsActive">In delivery now.</param>
/// <param name="Sender">Envelope sender.</param>
/// <param name="Recipients">Those not done.</param>
public sealed record QueueListing(QueueEntry Entry, bool IsActive, string Sender, IReadOnlyList<ListedRecipient> Recipients);

/// <summary>A recipient in a listing.</summary>
public readonly record struct ListedRecipient(string Address, string OriginalAddress, string DelayReason);

/// <summary>What postsuper may do to a message.</summary>
public enum QueueOperation
{
    /// <summary>-d.</summary>
    Delete,

    /// <summary>-h.</summary>
    Hold,

    /// <summary>-H.</summary>
    Release,

    /// <summary>-r: through cleanup again, aliases and routes looked up anew.</summary>
    Requeue,

    /// <summary>-e: expire at the next attempt.</summary>
    Expire,

    /// <summary>-f: release from hold, and expire.</summary>
    ForceExpire,
}

/// <summary>
/// The queue manager as the control socket and the receiving side see it. All methods may be called from anywhere.
/// </summary>
public interface IQueueControl
{
    /// <summary>A new message is durable: schedule it. Never blocks.</summary>
    void Arrived(string queueId);

    /// <summary>postqueue -f: every deferred message is due now, and dead destinations are forgotten.</summary>
    void Flush();

    /// <summary>postqueue -i: this message is due now. False if there is none.</summary>
    bool Flush(string queueId);

    /// <summary>postqueue -s: messages with a recipient in this domain are due now.</summary>
    ValueTask FlushSiteAsync(string site, CancellationToken cancellationToken);

    /// <summary>postsuper: one message. False if there is none, or the operation does not apply to its queue. Durable on return.</summary>
    ValueTask<bool> ChangeAsync(string queueId, QueueOperation operation, MailLog log, CancellationToken cancellationToken);

    /// <summary>Everything queued, in Postfix's order: active, incoming, deferred, hold.</summary>
    IAsyncEnumerable<QueueListing> ListAsync(CancellationToken cancellationToken);
}
