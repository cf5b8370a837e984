using Postwright.Server.Queue;

namespace Postwright.Server.Deliver;

/// <summary>What a delivery attempt did for one recipient.</summary>
public enum DeliveryStatus
{
    /// <summary>Taken over by a mailbox, command or server: <c>status=sent</c>.</summary>
    Sent,

    /// <summary>To be tried again: <c>status=deferred</c>.</summary>
    Deferred,

    /// <summary>Never to be tried again: <c>status=bounced</c>.</summary>
    Bounced,

    /// <summary>Became other recipients (aliases, .forward), which the queue takes over before this one is done.</summary>
    Expanded,
}

/// <summary>What a sender who asked for NOTIFY=SUCCESS is told of a delivery (RFC 3461, 6.2).</summary>
public enum SuccessReport
{
    /// <summary>It is in a mailbox, a file or a command's hands.</summary>
    Delivered,

    /// <summary>It was passed to a server that does not speak DSN: nobody will tell more.</summary>
    Relayed,

    /// <summary>It became other recipients.</summary>
    Expanded,

    /// <summary>It was passed to a server that speaks DSN and tells the sender itself: we say nothing.</summary>
    PassedOn,
}

/// <summary>A recipient of one delivery.</summary>
/// <param name="Index">Its position in the envelope.</param>
/// <param name="Recipient">Its envelope row.</param>
/// <param name="Address">The address that resolution gave; what the agent delivers to.</param>
public readonly record struct DeliveryRecipient(int Index, EnvelopeRecipient Recipient, string Address);

/// <summary>One message's recipients for one transport and next hop: what a delivery agent is asked to do in one go.</summary>
public sealed record DeliveryRequest
{
    /// <summary>Queue ID, sender, DSN fields.</summary>
    public required Envelope Envelope { get; init; }

    /// <summary>The content; owned by the caller, valid until the delivery ends.</summary>
    public required MessageContent Content { get; init; }

    /// <summary>The transport's name in master.cf, such as <c>smtp</c> or <c>local</c>.</summary>
    public required string Transport { get; init; }

    /// <summary>Where to: domain, <c>[host]:port</c>, or the text of error and discard.</summary>
    public required string NextHop { get; init; }

    /// <summary>At most the transport's destination_recipient_limit.</summary>
    public required IReadOnlyList<DeliveryRecipient> Recipients { get; init; }

    /// <summary>When the message entered the active queue (the first of delays=).</summary>
    public required DateTimeOffset Activated { get; init; }

    /// <summary>When the agent was given the request (the second of delays=).</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>
    /// Told at once of recipients whose attempt is over while others of this request take longer, so that what is done is
    /// logged and on record; the results tell of them again. Null when nobody wants to know.
    /// </summary>
    public Action<IReadOnlyList<RecipientResult>>? Decided { get; init; }

    /// <summary>
    /// Fires some time after a stop has begun, when even that must end which somebody else may already have taken: the wait for the
    /// answer to a message that was sent.
    /// </summary>
    public CancellationToken GiveUp { get; init; }
}

/// <summary>One recipient's result, with all that the log line and a notice need.</summary>
/// <param name="Index">Position in the envelope.</param>
/// <param name="Status">What happened.</param>
/// <param name="Dsn">Enhanced status code, such as <c>2.0.0</c> (RFC 3463).</param>
/// <param name="Reason">The text in parentheses: <c>250 2.0.0 Ok: queued as X</c>, <c>delivered to mailbox</c>, or why not. At most 3,072 UTF-16 units are kept.</param>
/// <param name="Relay">relay=: <c>host[addr]:port</c>, <c>local</c>, <c>none</c>.</param>
public sealed record RecipientResult(int Index, DeliveryStatus Status, string Dsn, string Reason, string Relay)
{
    /// <inheritdoc cref="RecipientResult(int, DeliveryStatus, string, string, string)" path="/param[@name='Reason']" />
    public string Reason { get; init => field = BoundedText.Cut(value, BoundedText.MostOfResult); } = BoundedText.Cut(Reason, BoundedText.MostOfResult);

    /// <summary>The address in the log line where it differs from the recipient's (after alias expansion), else null.</summary>
    public string? LoggedAddress { get; init; }

    /// <summary>For <see cref="DeliveryStatus.Expanded"/>: the new recipients.</summary>
    public IReadOnlyList<EnvelopeRecipient> Into { get; init; } = [];

    /// <summary>For <see cref="DeliveryStatus.Expanded"/>: the sender of the new recipients where owner-alias changes it, else null.</summary>
    public string? NewSender { get; init; }

    /// <summary>Remote-MTA of a notice (RFC 3464, 2.3.5), a host name; null if no other server spoke.</summary>
    public string? RemoteMta { get; init; }

    /// <summary>Diagnostic-Code of a notice, such as <c>smtp; 550 5.1.1 No such user</c>; null to use <see cref="Reason"/> with <c>X-Postfix</c>. As long as that at most.</summary>
    public string? Diagnostic { get; init => field = value is null ? null : BoundedText.Cut(value, BoundedText.MostOfResult); }

    /// <summary>What the sender of a delivered message is told, if asked for.</summary>
    public SuccessReport Success { get; init; }

    /// <summary>Seconds spent on DNS, connection, greeting, HELO, TLS (the third of delays=).</summary>
    public TimeSpan Setup { get; init; }

    /// <summary>Seconds spent on the transmission (the fourth of delays=).</summary>
    public TimeSpan Transfer { get; init; }

    /// <summary>conn_use=; logged when above 1.</summary>
    public int ConnectionUses { get; init; } = 1;

    /// <summary>
    /// True when the destination itself cannot be reached, so that it counts against the destination
    /// (failed cohorts, dead destinations), not only against this recipient.
    /// </summary>
    public bool SiteFailure { get; init; }
}

/// <summary>
/// A transport's delivery: smtp, lmtp, local, virtual, pipe, error, discard. Gives exactly one result per recipient and
/// does not throw for anything a peer, file or table does; an exception is a bug, and the queue manager defers the message.
/// </summary>
public interface IDeliveryAgent
{
    /// <summary>
    /// Delivers. On cancellation (a stop has begun) what has not begun comes back deferred at once; what may have reached its
    /// recipient is heard to its end, until <see cref="DeliveryRequest.GiveUp"/>.
    /// </summary>
    ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken);
}
