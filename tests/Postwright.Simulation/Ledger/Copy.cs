using Postwright.Server.Queue.Spool;

namespace Postwright.Simulation.Ledger;

/// <summary>Where a queued message came from.</summary>
internal enum CopyOrigin
{
    Unknown,
    Client,
    Notice,

    /// <summary>Members of an expansion that another transport delivers.</summary>
    Forward,
    Requeue,
}

/// <summary>A message under one queue ID, as the ledger follows it.</summary>
internal sealed class Copy(string queueId, long begunAt)
{
    public string QueueId => queueId;

    /// <summary>When the ledger first heard of it, in ticks of the scheduler.</summary>
    public long BegunAt => begunAt;

    /// <summary>When it was first seen in the queue, in ticks of the scheduler.</summary>
    public long PublishedAt { get; set; }

    public CopyOrigin Origin { get; set; }

    /// <summary>The queue ID it came from: a notice's cause, a requeued or forwarded message's old one.</summary>
    public string Parent { get; set; } = "";

    /// <summary>For a message of a client: the transaction.</summary>
    public Transaction? Transaction { get; set; }

    public string Sender { get; set; } = "";

    /// <summary>Envelope recipients, those that expansions added behind.</summary>
    public List<string> Recipients { get; } = [];

    /// <summary>For a notice: failed, delayed, and of whom it tells.</summary>
    public string NoticeAction { get; set; } = "";

    public IReadOnlyList<string> Told { get; set; } = [];

    /// <summary>Its record was seen durable by the ledger's own look at the disk.</summary>
    public bool IsOnDisk { get; set; }

    /// <summary>It was listed in the queue.</summary>
    public bool IsPublished { get; set; }

    /// <summary>The process in which it was first seen there.</summary>
    public World.Life? PublishedBy { get; set; }

    /// <summary>The server has said 250 for it.</summary>
    public bool IsAcknowledged { get; set; }

    /// <summary>
    /// Somebody relies on it: a client that was told so, a removed maildrop file, or whoever waited for its record. What only a
    /// recovery has found was promised to nobody.
    /// </summary>
    public bool IsPromised => IsAcknowledged || PublishedBy is not null || Transaction is { FileIsGone: true };

    /// <summary>The index row in the process that runs now.</summary>
    public IndexEntry? Entry { get; set; }

    /// <summary>How many of the recipients' ends were looked at.</summary>
    public HashSet<int> Done { get; } = [];

    /// <summary>Done, and the record is on disk.</summary>
    public HashSet<int> Settled { get; } = [];

    /// <summary>It left the queue, for a reason that was checked.</summary>
    public bool HasLeft { get; set; }

    /// <summary>It left, and the record is on disk: it must not come back.</summary>
    public bool HasLeftForGood { get; set; }

    /// <summary>The administrator asked for its deletion.</summary>
    public bool DeleteAsked { get; set; }

    /// <summary>The administrator asked for it to go through the queue again.</summary>
    public bool RequeueAsked { get; set; }

    /// <summary>A bit of it may have turned; it is in the corrupt queue, or was reported.</summary>
    public bool IsDamaged { get; set; }

    public List<Effect> Effects { get; } = [];

    /// <summary>Recipients that the log says were bounced, discarded.</summary>
    public HashSet<string> Bounced { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The log says that it stayed too long.</summary>
    public bool IsExpired { get; set; }

    public HashSet<string> Discarded { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>What a recipient became.</summary>
    public Dictionary<string, string[]> Expansions { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Messages that members of its expansions went into.</summary>
    public HashSet<string> ForwardedAs { get; } = new(StringComparer.Ordinal);

    /// <summary>When it is to be tried next, and whether it is held, as that is on the disk; null while a change is on its way.</summary>
    public (long NextTicks, EntryFlags Flags)? State { get; set; }

    /// <summary>When it was first seen to be overdue without anything going on; -1 while it is not.</summary>
    public long OverdueSince { get; set; } = -1;

    /// <inheritdoc />
    public override string ToString() =>
        $"{queueId} ({Origin}{(Transaction is null ? "" : $" m{Transaction.Message.Number}/{Transaction.Attempt}")}{(Parent.Length > 0 ? $" of {Parent}" : "")} <{Sender}> -> {string.Join(", ", Recipients)})";
}
