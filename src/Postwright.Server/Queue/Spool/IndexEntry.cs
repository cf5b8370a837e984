namespace Postwright.Server.Queue.Spool;

/// <summary>What is remembered of a message beside its place.</summary>
[Flags]
internal enum EntryFlags : byte
{
    None = 0,
    Hold = 1,

    /// <summary>Tried at least once, or released: shown as deferred.</summary>
    Tried = 2,
    ForceExpire = 4,
    Corrupt = 8,

    /// <summary>No longer in the queue.</summary>
    Removed = 16,

    /// <summary>The content's file was read and its checksum found right since the start.</summary>
    ContentVerified = 32,
}

/// <summary>Recipients that an expansion added, and where they are written.</summary>
internal sealed class Expansion
{
    /// <summary>How many recipients there were before.</summary>
    public required int FirstIndex { get; init; }

    /// <summary>How many it added.</summary>
    public required int Count { get; init; }

    /// <summary>The recipients, until their record is on disk; then null.</summary>
    public IReadOnlyList<EnvelopeRecipient>? Pending { get; set; }

    public Segment? Segment { get; set; }

    public int Offset { get; set; }

    public int Length { get; set; }
}

/// <summary>What only some messages have.</summary>
internal sealed class EntryExtra
{
    /// <summary>Done bits of the recipients from 64 on.</summary>
    public ulong[] MoreDone { get; set; } = [];

    public Expansion[] Expansions { get; set; } = [];

    /// <summary>The delays, while they are not on disk yet or the message is cached; else null.</summary>
    public IReadOnlyList<RecipientDelay>? Delays { get; set; }

    /// <summary>Number of the file that holds the content, 0 if it stands in the record.</summary>
    public ulong ContentFile { get; set; }

    public uint ContentChecksum { get; set; }

    public string MaildropKey { get; set; } = "";

    /// <summary>Envelope and content, while they are in memory.</summary>
    public CachedMessage? Cached { get; set; }
}

/// <summary>
/// The index row of a message: a million of them are kept, so it holds places in the log instead of text. Guarded by the
/// spool's gate.
/// </summary>
internal sealed class IndexEntry(string queueId)
{
    private ulong _done;

    public string QueueId { get; } = queueId;

    /// <summary>Done bits of the first 64 recipients.</summary>
    public ulong FirstDone
    {
        get => _done;
        set => _done = value;
    }

    /// <summary>Where the newest Message record is.</summary>
    public Segment? Segment { get; set; }

    public int Offset { get; set; }

    public int Length { get; set; }

    /// <summary>Where the newest delays are, if there are any.</summary>
    public Segment? StateSegment { get; set; }

    public int StateOffset { get; set; }

    public int StateLength { get; set; }

    public long ArrivalTicks { get; set; }

    public long NextTicks { get; set; }

    public long Size { get; set; }

    public int RecipientCount { get; set; }

    /// <summary>The first segment in which a record of the message may stand.</summary>
    public uint Origin { get; set; }

    /// <summary>Records that are not on disk yet.</summary>
    public ushort PendingRecords { get; set; }

    public EntryFlags Flags { get; set; }

    public byte Warnings { get; set; }

    public EntryExtra? Extra { get; set; }

    public CachedMessage? Cached => Extra?.Cached;

    public bool Has(EntryFlags flag) => (Flags & flag) != 0;

    public EntryExtra MakeExtra() => Extra ??= new EntryExtra();

    /// <summary>Gives the extra part back when nothing in it is needed.</summary>
    public void DropEmptyExtra()
    {
        if (Extra is { Cached: null, Delays: null, ContentFile: 0, MaildropKey.Length: 0, MoreDone.Length: 0, Expansions.Length: 0 })
        {
            Extra = null;
        }
    }

    public bool IsDone(int recipient)
    {
        if (recipient < 64)
        {
            return (_done >> recipient & 1) != 0;
        }

        int word = (recipient >> 6) - 1;
        return Extra is not null && word < Extra.MoreDone.Length && (Extra.MoreDone[word] >> (recipient & 63) & 1) != 0;
    }

    /// <summary>Marks a recipient; one that does not exist is passed over.</summary>
    public void MarkDone(int recipient)
    {
        if ((uint)recipient >= (uint)RecipientCount)
        {
            return;
        }

        if (recipient < 64)
        {
            _done |= 1ul << recipient;
            return;
        }

        int word = (recipient >> 6) - 1;
        EntryExtra extra = MakeExtra();
        if (word >= extra.MoreDone.Length)
        {
            ulong[] larger = new ulong[Math.Max(word + 1, (RecipientCount - 1) >> 6)];
            extra.MoreDone.CopyTo(larger, 0);
            extra.MoreDone = larger;
        }

        extra.MoreDone[word] |= 1ul << (recipient & 63);
    }

    /// <summary>Forgets every result and change: the message is as it arrived.</summary>
    public void ClearState()
    {
        _done = 0;
        Flags &= EntryFlags.Removed | EntryFlags.ContentVerified;
        Warnings = 0;
        if (Extra is { } extra)
        {
            extra.MoreDone = [];
            extra.Expansions = [];
            extra.Delays = null;
        }
    }

    public QueueEntry ToQueueEntry() => new(
        QueueId,
        Has(EntryFlags.Corrupt) ? QueueName.Corrupt : Has(EntryFlags.Hold) ? QueueName.Hold : Has(EntryFlags.Tried) ? QueueName.Deferred : QueueName.Incoming,
        new DateTimeOffset(ArrivalTicks, TimeSpan.Zero),
        new DateTimeOffset(NextTicks, TimeSpan.Zero),
        Size,
        Has(EntryFlags.ForceExpire));
}
