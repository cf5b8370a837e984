using Postwright.Server.Deliver;
using Postwright.Server.Report;

namespace Postwright.Server.Queue.Scheduling;

/// <summary>
/// A message in the active queue, during one round: from its activation until each recipient was tried once. Touched by
/// the queue manager's loop only; a delivery under way may read its envelope and content.
/// </summary>
internal sealed class ActiveMessage(string queueId)
{
    private Job? _firstJob;
    private List<Job>? _otherJobs;

    /// <summary>The queue ID.</summary>
    public string QueueId => queueId;

    /// <summary>The message as loaded; null once its content was given back while it waits.</summary>
    public StoredMessage? Stored { get; set; }

    /// <summary>The envelope as loaded.</summary>
    public Envelope Envelope { get; set; } = null!;

    /// <summary>The envelope's recipients, and those that aliases added in this round.</summary>
    public IReadOnlyList<EnvelopeRecipient> Recipients { get; private set; } = [];

    /// <summary>Per recipient, by position.</summary>
    public RecipientProgress[] Progress { get; private set; } = [];

    /// <summary>Where the recipients that were pending at the start go; by position, null for those done.</summary>
    public Route.ResolvedAddress?[] Routes { get; set; } = [];

    /// <summary>When the round began.</summary>
    public DateTimeOffset Activated { get; set; }

    /// <summary>Recipients of this round that have no result yet.</summary>
    public int Open { get; set; }

    /// <summary>Deliveries under way.</summary>
    public int InFlight { get; set; }

    /// <summary>Delay warnings sent so far.</summary>
    public int WarningsSent { get; set; }

    /// <summary>Results that a notice may tell of; null while there are none.</summary>
    public List<RecipientReport>? Reports { get; set; }

    /// <summary>True once deleted, held or requeued: what waits is not tried, and the round's end writes no deferral.</summary>
    public bool IsWithdrawn { get; set; }

    /// <summary>True once it is gone from the store.</summary>
    public bool IsRemoved { get; set; }

    /// <summary>True if it is to be returned whatever its age.</summary>
    public bool ForceExpire { get; set; }

    /// <summary>Done in this round and not yet on record.</summary>
    public List<int>? Unrecorded { get; set; }

    /// <summary>True if it came from the deferred queue.</summary>
    public bool IsFromDeferred { get; init; }

    /// <summary>True if somebody asked for this attempt: defer_transports does not hold it back.</summary>
    public bool IsFlushed { get; init; }

    /// <summary>Where it was parked before, if it was.</summary>
    public Destination? ParkedAt { get; init; }

    /// <summary>How many recipients it counts for in the recipient limit.</summary>
    public int Counted { get; set; }

    /// <summary>Bytes of content it keeps in memory while it waits.</summary>
    public long HeldContent { get; set; }

    /// <summary>True once it is loaded and its recipients stand in line.</summary>
    public bool HasEntered { get; set; }

    /// <summary>True once the round's end was begun.</summary>
    public bool HasEnded { get; set; }

    /// <summary>True if it is to be tried again as soon as it has left.</summary>
    public bool ComesBack { get; set; }

    /// <summary>True if a reload took its recipients out of line: it is tried again, by new routes, as soon as it has left.</summary>
    public bool IsRerouted { get; set; }

    /// <summary>Run once it has left the active queue, its records written.</summary>
    public Action? WhenLeft { get; set; }

    /// <summary>Takes the loaded message over.</summary>
    public void Begin(StoredMessage stored)
    {
        Stored = stored;
        Envelope = stored.Envelope;
        Recipients = stored.Envelope.Recipients;
        WarningsSent = stored.WarningsSent;
        ForceExpire = stored.Entry.ForceExpire;
        Progress = new RecipientProgress[Recipients.Count];
        for (int i = 0; i < Progress.Length; i++)
        {
            if (stored.States[i].Status == RecipientStatus.Done)
            {
                Progress[i] = RecipientProgress.Done;
            }
        }
    }

    /// <summary>Adds recipients that an alias expanded to; the first one's position.</summary>
    public int Append(IReadOnlyList<EnvelopeRecipient> recipients)
    {
        int first = Recipients.Count;
        Recipients = [.. Recipients, .. recipients];
        RecipientProgress[] progress = Progress;
        Array.Resize(ref progress, Recipients.Count);
        Progress = progress;
        return first;
    }

    /// <summary>The message's job in <paramref name="transport"/>.</summary>
    public Job JobFor(TransportQueue transport)
    {
        if (_firstJob is null)
        {
            return _firstJob = new Job(this, transport);
        }

        if (_firstJob.Transport == transport)
        {
            return _firstJob;
        }

        _otherJobs ??= [];
        foreach (Job job in _otherJobs)
        {
            if (job.Transport == transport)
            {
                return job;
            }
        }

        Job added = new(this, transport);
        _otherJobs.Add(added);
        return added;
    }

    /// <summary>Every peer of the message, those without waiting recipients included.</summary>
    public IEnumerable<Peer> Peers()
    {
        IEnumerable<Job> jobs = _firstJob is null ? [] : [_firstJob, .. _otherJobs ?? []];
        return jobs.SelectMany(job => job.Peers());
    }

    /// <summary>True when no recipient is left for a later round.</summary>
    public bool AllDone
    {
        get
        {
            foreach (RecipientProgress progress in Progress)
            {
                if (progress != RecipientProgress.Done)
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Gives content and descriptor back.</summary>
    public void Release()
    {
        Stored?.Dispose();
        Stored = null;
    }
}

/// <summary>How far a recipient is in this round.</summary>
internal enum RecipientProgress : byte
{
    /// <summary>No result yet.</summary>
    Waiting,

    /// <summary>Never tried again.</summary>
    Done,

    /// <summary>To be tried in a later round.</summary>
    Deferred,

    /// <summary>Failed for good, and its sender is not told yet.</summary>
    Bounced,
}

/// <summary>One delivery under way.</summary>
internal sealed class Delivery(ActiveMessage message, Peer peer, TransportService service, DeliveryRecipient[] recipients)
{
    /// <summary>Who delivers: a reload changes nothing for what is under way.</summary>
    public TransportService Service => service;

    /// <summary>The message.</summary>
    public ActiveMessage Message => message;

    /// <summary>Where the recipients came from.</summary>
    public Peer Peer => peer;

    /// <summary>The recipients.</summary>
    public DeliveryRecipient[] Recipients => recipients;

    /// <summary>Results, by index, that came and were logged before the delivery's end, whatever comes of the others; null for none.</summary>
    public Dictionary<int, RecipientResult>? Early { get; set; }

    /// <summary>What the agent said; set by the delivery before it is posted back.</summary>
    public IReadOnlyList<RecipientResult> Results { get; set; } = [];
}
