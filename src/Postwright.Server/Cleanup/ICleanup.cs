using Postwright.Server.Queue;

namespace Postwright.Server.Cleanup;

/// <summary>What became of a message on its way into the queue; smtpd turns it into a reply, pickup into a retry.</summary>
public enum CleanupStatus
{
    /// <summary>Queued, on disk.</summary>
    Queued,

    /// <summary>Larger than message_size_limit: 552 5.3.4.</summary>
    TooLarge,

    /// <summary>No space: 452 4.3.1.</summary>
    NoSpace,

    /// <summary>Disk failure: 451 4.3.0.</summary>
    WriteError,

    /// <summary>A table could not be asked (virtual aliases): 451 4.3.0.</summary>
    TableError,

    /// <summary>Too many Received: headers (hopcount_limit): 554 5.4.0.</summary>
    TooManyHops,

    /// <summary>No recipient was left: nothing was queued, and that is right (all discarded).</summary>
    Discarded,

    /// <summary>This maildrop file is in the queue already.</summary>
    Duplicate,
}

/// <summary>What cleanup does beside the usual; receive_override_options and the sender of the message decide.</summary>
[Flags]
public enum CleanupOptions
{
    /// <summary>Nothing: a notice of our own is taken as it is.</summary>
    None = 0,

    /// <summary>Expand virtual_alias_maps.</summary>
    VirtualAliases = 1,

    /// <summary>Complete missing headers (From, Date, Message-Id, To) and local names: locally submitted mail.</summary>
    LocalSubmission = 2,

    /// <summary>Count Received: headers against hopcount_limit.</summary>
    HopCount = 4,

    /// <summary>What smtpd asks for.</summary>
    Smtpd = VirtualAliases | HopCount,

    /// <summary>What pickup asks for.</summary>
    Pickup = VirtualAliases | LocalSubmission | HopCount,
}

/// <summary>
/// Makes a message regular and hands it to the queue: trace headers, missing headers, address completion, virtual aliases,
/// then <see cref="IMessageStore.AppendAsync"/>, then the queue manager. Every message goes this way: smtpd's, pickup's and
/// our own notices. Logs <c>QUEUEID: message-id=&lt;...&gt;</c>.
/// </summary>
public interface ICleanup
{
    /// <summary>Begins a message. Recipients may be added until the first content byte.</summary>
    /// <param name="envelope">Queue ID (from <see cref="IMessageStore.NewQueueId"/>), sender, origin, DSN fields; recipients may be empty here.</param>
    /// <param name="options">What to do.</param>
    ICleanupMessage Begin(Envelope envelope, CleanupOptions options);
}

/// <summary>A message on its way in. Dispose without <see cref="FinishAsync"/> throws it away.</summary>
public interface ICleanupMessage : IDisposable
{
    /// <summary>Adds a recipient.</summary>
    void AddRecipient(EnvelopeRecipient recipient);

    /// <summary>
    /// Takes the next bytes of the content, cut anywhere: lines ended by CRLF, dots unstuffed, no final dot.
    /// After a failure or above the size limit the rest is swallowed, and <see cref="FinishAsync"/> tells.
    /// </summary>
    ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Ends the message; completes when it is on disk or refused.</summary>
    ValueTask<CleanupStatus> FinishAsync(CancellationToken cancellationToken);
}
