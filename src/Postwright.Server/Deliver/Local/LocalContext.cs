using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>Everything that one delivery of local(8) is about: the request, the recipient and its parts, and the services around.</summary>
internal sealed record LocalContext
{
    public required LocalOptions Options { get; init; }

    public required IHost Host { get; init; }

    public required TimeProvider Time { get; init; }

    public required MailLog Log { get; init; }

    public required AgentRequest Request { get; init; }

    public required AgentRecipient Recipient { get; init; }

    public required RecipientParts Parts { get; init; }

    /// <summary>What it came through, without the member that it may be.</summary>
    public required Via Via { get; init; }

    /// <summary>The member of its own expansion that this recipient is; null when it is the address as such.</summary>
    public string? MemberKey { get; init; }

    /// <summary>The sender; an owner-alias may change it.</summary>
    public required string Sender { get; init; }

    public required CancellationToken CancellationToken { get; init; }

    /// <summary>A deferral.</summary>
    public RecipientResult Defer(string dsn, string reason) => Result(DeliveryStatus.Deferred, dsn, reason);

    /// <summary>A bounce.</summary>
    public RecipientResult Bounce(string dsn, string reason) => Result(DeliveryStatus.Bounced, dsn, reason);

    /// <summary>Any result.</summary>
    public RecipientResult Result(DeliveryStatus status, string dsn, string reason)
        => new(Recipient.Index, status, dsn, reason, Request.Service);

    /// <summary>The headers of a copy.</summary>
    public CopyAddresses Addresses
    {
        get
        {
            (string? delivered, IReadOnlyList<string> forwarded) = Via.Trace();
            return new CopyAddresses(
                Sender,
                Options.EnableOriginalRecipient ? Recipient.OriginalAddress : "",
                Options.FrozenDeliveredTo ? delivered ?? Recipient.Address : Recipient.Address,
                Options.PrependToForward ? forwarded : []);
        }
    }

    /// <summary>The message in a style; without Delivered-To: where prepend_delivered_header leaves it out.</summary>
    public CopySource Source(CopyStyle style, bool prepend)
        => new(Request.Content, Addresses, prepend ? style : style & ~CopyStyle.DeliveredTo, Time.GetLocalNow());

    /// <summary>A delivery into a Maildir.</summary>
    public Maildir.Job MaildirJob(string path, uint uid, uint gid) => new()
    {
        Path = path,
        Uid = uid,
        Gid = gid,
        Source = Source(CopyStyle.Maildir, Options.PrependToFile),
        SizeLimit = Options.MailboxSizeLimit,
        DefaultDsn = "5.2.0",
        HostName = Host.HostName,
        Time = Time,
        Log = Log,
    };

    /// <summary>A delivery into a mailbox file.</summary>
    public Mailbox.Job MailboxJob(string path, uint uid, uint gid) => new()
    {
        Path = path,
        Uid = uid,
        Gid = gid,
        OpenUid = uid,
        OpenGid = gid,
        StrictOwner = Options.StrictMailboxOwnership,
        Locks = Options.Locks,
        SizeLimit = Options.MailboxSizeLimit,
        DefaultDsn = "5.2.0",
        Source = Source(CopyStyle.Mailbox, Options.PrependToFile),
        Time = Time,
        Log = Log,
        CancellationToken = CancellationToken,
    };

    /// <summary>Expands <c>$user</c>, <c>$home</c> and so on; each value's characters outside <paramref name="filter"/> become <c>_</c>.</summary>
    public MacroExpander.Result Expand(string text, UserEntry? user, string filter)
    {
        string? Look(string name) => (name switch
        {
            "user" => Parts.User,
            "home" => NullIfEmpty(user?.Home),
            "shell" => NullIfEmpty(user?.Shell),
            "recipient" => Recipient.Address,
            "extension" => Parts.Extension,
            "domain" => NullIfEmpty(Parts.Domain),
            "local" => Parts.Local,
            "recipient_delimiter" => NullIfEmpty(Parts.Delimiter),
            _ => null,
        }) is { } value ? Censor(value, filter) : null;

        return MacroExpander.Expand(text, Look, trouble => Log.Warning($"{Request.QueueId}: {trouble}"), recurse: false);
    }

    /// <summary>Replaces every character that is not allowed by <c>_</c>.</summary>
    public static string Censor(string value, string allowed)
        => value.AsSpan().ContainsAnyExcept(allowed) ? string.Concat(value.Select(c => allowed.Contains(c) ? c : '_')) : value;

    private static string? NullIfEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
