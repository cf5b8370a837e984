namespace Postwright.Server.Queue;

/// <summary>What became of an attempt to keep a message.</summary>
public enum StoreStatus
{
    /// <summary>On disk and synced: 250 may be said.</summary>
    Stored,

    /// <summary>No space, or less than queue_minfree: 452 4.3.1.</summary>
    NoSpace,

    /// <summary>The disk failed twice: 451 4.3.0; nothing was acknowledged and nothing will be delivered.</summary>
    Failed,

    /// <summary>The maildrop file of this message is in the queue already.</summary>
    Duplicate,
}

/// <summary>How much a store can take.</summary>
/// <param name="FileSystem">Bytes free on its file system; 0 where that cannot be told.</param>
/// <param name="Kept">Bytes that it keeps for itself, emptied, and writes again.</param>
public readonly record struct StoreRoom(long FileSystem, long Kept);

/// <summary>One recipient's place in its life.</summary>
public enum RecipientStatus : byte
{
    /// <summary>Not tried, or to be tried again.</summary>
    Pending,

    /// <summary>Delivered, bounced, discarded or expanded: never tried again.</summary>
    Done,
}

/// <summary>What is remembered of a recipient beside its envelope row.</summary>
/// <param name="Status">Pending or done.</param>
/// <param name="DelayReason">Why the last attempt was deferred, as postqueue shows it; empty before the first.</param>
/// <param name="DelayDsn">The status code of the last deferral, such as <c>4.4.1</c>.</param>
public readonly record struct RecipientState(RecipientStatus Status, string DelayReason = "", string DelayDsn = "");

/// <summary>Which of Postfix's queues a message is shown in.</summary>
public enum QueueName : byte
{
    /// <summary>Waiting for its first attempt.</summary>
    Incoming,

    /// <summary>Tried, and waiting for its next attempt.</summary>
    Deferred,

    /// <summary>Held by the administrator or an access rule.</summary>
    Hold,

    /// <summary>Damaged; kept for a human.</summary>
    Corrupt,
}

/// <summary>An index row: what a scheduler must know without reading the message. Small, since a million are kept.</summary>
public readonly record struct QueueEntry(string QueueId, QueueName Queue, DateTimeOffset Arrival, DateTimeOffset NextAttempt, long Size, bool ForceExpire);

/// <summary>A message read back: envelope (with expansions appended), each recipient's state, and the content.</summary>
public sealed class StoredMessage(Envelope envelope, IReadOnlyList<RecipientState> states, QueueEntry entry, MessageContent content) : IDisposable
{
    /// <summary>The envelope; recipients that an expansion added stand after the original ones.</summary>
    public Envelope Envelope { get; } = envelope;

    /// <summary>State per recipient, by position.</summary>
    public IReadOnlyList<RecipientState> States { get; } = states;

    /// <summary>Queue, next attempt and flags at the time of the read.</summary>
    public QueueEntry Entry { get; } = entry;

    /// <summary>The content.</summary>
    public MessageContent Content { get; } = content;

    /// <summary>The number of delay warnings sent so far (delay_warning_time's ages).</summary>
    public int WarningsSent { get; init; }

    /// <inheritdoc />
    public void Dispose() => Content.Dispose();
}

/// <summary>A change of a queued message, as one record of the log.</summary>
public abstract record QueueChange(string QueueId);

/// <summary>These recipients need no further attempt.</summary>
public sealed record RecipientsDone(string QueueId, IReadOnlyList<int> Recipients) : QueueChange(QueueId);

/// <summary>A recipient became others, which get the next positions; the recipient itself is done.</summary>
public sealed record RecipientExpanded(string QueueId, int Recipient, IReadOnlyList<EnvelopeRecipient> Into) : QueueChange(QueueId);

/// <summary>The next attempt's time, and why each of these recipients waits.</summary>
public sealed record MessageDeferred(string QueueId, DateTimeOffset NextAttempt, IReadOnlyList<RecipientDelay> Delays) : QueueChange(QueueId)
{
    /// <summary>Delay warnings sent so far, this one included.</summary>
    public int WarningsSent { get; init; }
}

/// <summary>Why a recipient waits.</summary>
public readonly record struct RecipientDelay(int Recipient, string Dsn, string Reason);

/// <summary>postsuper -h.</summary>
public sealed record MessageHeld(string QueueId) : QueueChange(QueueId);

/// <summary>postsuper -H and -r: back to waiting, due at once.</summary>
public sealed record MessageReleased(string QueueId) : QueueChange(QueueId);

/// <summary>postsuper -e and -f: expires at its next attempt.</summary>
public sealed record MessageExpired(string QueueId, bool Release) : QueueChange(QueueId);

/// <summary>Every recipient is done, or the administrator deleted it. The message is gone once this is durable.</summary>
public sealed record MessageRemoved(string QueueId) : QueueChange(QueueId);

/// <summary>
/// The queue's durable memory. One process owns it at a time. Free of file offsets, so that a shared implementation can
/// stand behind the same interface.
/// <para>Contract: <see cref="AppendAsync"/> completes only when the message survives a power cut. Changes of one message
/// are applied and made durable in the order in which they were submitted.</para>
/// </summary>
public interface IMessageStore
{
    /// <summary>Takes a new queue ID, unique among all messages in the queue.</summary>
    string NewQueueId();

    /// <summary>
    /// Keeps a message; completes when it is synced. On <see cref="StoreStatus.Stored"/> the store has taken the content over;
    /// otherwise the caller still owns it. The message does not appear in <see cref="Entries"/> before it is durable.
    /// </summary>
    ValueTask<StoreStatus> AppendAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken);

    /// <summary>
    /// Records changes, together or not at all per message. They are visible to <see cref="LoadAsync"/> at once; the task
    /// completes with true when they are durable, false if the disk refused them (the change is then retried by the store;
    /// the worst outcome is a duplicate delivery). Callers that need no durability may leave the task alone: the records
    /// ride on the next group commit, which never takes longer than a few milliseconds to begin.
    /// </summary>
    /// <param name="changes">The changes; those of messages that are not in the queue are passed over.</param>
    /// <param name="urgent">True when the caller waits for the task: the commit then begins at once.</param>
    Task<bool> RecordAsync(IReadOnlyList<QueueChange> changes, bool urgent = false);

    /// <summary>Reads a message back; null if there is none of that ID.</summary>
    /// <exception cref="IOException">The disk failed, or the record is damaged (it is then moved to the corrupt queue).</exception>
    ValueTask<StoredMessage?> LoadAsync(string queueId, CancellationToken cancellationToken);

    /// <summary>The index row of a message.</summary>
    bool TryGetEntry(string queueId, out QueueEntry entry);

    /// <summary>A snapshot of the index: everything queued, in order of arrival.</summary>
    IReadOnlyList<QueueEntry> Entries();

    /// <summary>What new mail may still use, as of a moment ago.</summary>
    StoreRoom Room();

    /// <summary>Content for a message on its way in: memory up to spool_inline_limit and inline_memory_limit, else a file.</summary>
    ContentWriter CreateContent();
}

/// <summary>
/// Takes a message's bytes as they arrive. Bounded in memory by the store. Dispose without <see cref="CompleteAsync"/> throws
/// everything away, the file included.
/// </summary>
public abstract class ContentWriter : IDisposable
{
    /// <summary>Bytes so far.</summary>
    public abstract long Length { get; }

    /// <summary>Appends bytes. Synchronous (and allocation-free) while the content fits in memory.</summary>
    /// <exception cref="IOException">The disk failed: 451; with no space left, an <see cref="IOException"/> whose HResult is ENOSPC (28): 452.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>The finished content, to be handed to <see cref="IMessageStore.AppendAsync"/>, which syncs a file before its record.</summary>
    /// <exception cref="IOException">As with <see cref="WriteAsync"/>: what was written last may fail only now.</exception>
    public abstract ValueTask<MessageContent> CompleteAsync();

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Throws an unfinished content away.</summary>
    protected abstract void Dispose(bool disposing);
}
