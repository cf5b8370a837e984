namespace Postwright.Server.Queue;

/// <summary>When a recipient's fate is to be reported (RFC 3461, 4.1).</summary>
[Flags]
public enum DsnNotify : byte
{
    /// <summary>Nothing was said: failures and delays are reported.</summary>
    Unspecified = 0,

    /// <summary>NOTIFY=NEVER.</summary>
    Never = 1,

    /// <summary>NOTIFY=SUCCESS.</summary>
    Success = 2,

    /// <summary>NOTIFY=FAILURE.</summary>
    Failure = 4,

    /// <summary>NOTIFY=DELAY.</summary>
    Delay = 8,
}

/// <summary>How much of the message a notice returns (RFC 3461, 4.3).</summary>
public enum DsnReturn : byte
{
    /// <summary>Nothing was said.</summary>
    Unspecified,

    /// <summary>RET=FULL.</summary>
    Full,

    /// <summary>RET=HDRS.</summary>
    Headers,
}

/// <summary>What of 8-bit and UTF-8 the message declared.</summary>
[Flags]
public enum MessageEncoding : byte
{
    /// <summary>Nothing declared.</summary>
    None = 0,

    /// <summary>BODY=7BIT.</summary>
    SevenBit = 1,

    /// <summary>BODY=8BITMIME.</summary>
    EightBitMime = 2,

    /// <summary>SMTPUTF8 was requested (RFC 6531).</summary>
    SmtpUtf8 = 4,
}

/// <summary>One recipient of a queued message. Its position in <see cref="Envelope.Recipients"/> is its identity in the spool.</summary>
/// <param name="Address">Where the message goes, in internal (unquoted) form, after virtual aliases.</param>
/// <param name="OriginalAddress">As the client or user gave it (<c>orig_to=</c>).</param>
/// <param name="Notify">NOTIFY.</param>
/// <param name="DsnOriginalRecipient">ORCPT, as <c>type;address</c> with xtext decoded; empty if none.</param>
public sealed record EnvelopeRecipient(string Address, string OriginalAddress, DsnNotify Notify = DsnNotify.Unspecified, string DsnOriginalRecipient = "")
{
    /// <summary>
    /// The aliases and .forward files this recipient came through, and which member of the last one it is, in local's own
    /// notation (printable ASCII, see <c>Deliver/Local/Via.cs</c>); empty for everything else. The queue keeps it and hands it
    /// back unread, but for a mark of its own on what is still to be forwarded; routing does not look at it. It ends forwarding
    /// loops and keeps a member from being delivered twice.
    /// </summary>
    public string Via { get; init; } = "";
}

/// <summary>Where a message came from, for logs, bounces, policy and the delivery agents.</summary>
/// <param name="ClientName">Verified host name, <c>unknown</c>, or <c>localhost</c> for local submission.</param>
/// <param name="ClientAddress">Address without brackets, empty for local submission.</param>
/// <param name="ClientPort">Port as text, empty for local submission.</param>
/// <param name="Helo">HELO or EHLO name, empty for local submission.</param>
/// <param name="Protocol"><c>SMTP</c>, <c>ESMTP</c>, or empty for local submission.</param>
public sealed record MessageOrigin(string ClientName, string ClientAddress, string ClientPort, string Helo, string Protocol)
{
    /// <summary>A message of pickup or of our own.</summary>
    public static MessageOrigin Local { get; } = new("localhost", "", "", "", "");
}

/// <summary>
/// Everything about a message but its content. Immutable: what became of its recipients is kept beside it
/// (<see cref="RecipientState"/>), never in it.
/// </summary>
public sealed record Envelope
{
    /// <summary>The queue ID, as logged.</summary>
    public required string QueueId { get; init; }

    /// <summary>When the first byte of the message was asked for; ages and delays count from here.</summary>
    public required DateTimeOffset Arrival { get; init; }

    /// <summary>Envelope sender in internal form; empty for the null sender.</summary>
    public required string Sender { get; init; }

    /// <summary>The recipients, at least one.</summary>
    public required IReadOnlyList<EnvelopeRecipient> Recipients { get; init; }

    /// <summary>Where it came from.</summary>
    public required MessageOrigin Origin { get; init; }

    /// <summary>Bytes of the content.</summary>
    public long Size { get; init; }

    /// <summary>RET.</summary>
    public DsnReturn Return { get; init; }

    /// <summary>ENVID, xtext decoded; empty if none.</summary>
    public string EnvelopeId { get; init; } = "";

    /// <summary>BODY= and SMTPUTF8.</summary>
    public MessageEncoding Encoding { get; init; }

    /// <summary>For a message from maildrop: its file name and inode, so that recovery drops a second copy; else empty.</summary>
    public string MaildropKey { get; init; } = "";

    /// <summary>The local sender's full name, for a From: header that cleanup has to add; not kept in the queue.</summary>
    public string SenderFullName { get; init; } = "";

    /// <summary>Put on hold as it arrived (HOLD action).</summary>
    public bool Hold { get; init; }

    /// <summary>
    /// A notice of our own (bounce, delay warning), whose own failure is reported to postmaster or nobody. The sender is
    /// then empty, or double-bounce.
    /// </summary>
    public bool IsNotice { get; init; }
}
