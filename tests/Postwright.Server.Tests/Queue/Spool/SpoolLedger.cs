using Postwright.Server.Queue;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>What a message must look like after some of its changes.</summary>
internal sealed record MessageModel(
    IReadOnlyList<EnvelopeRecipient> Recipients, HashSet<int> Done, SortedDictionary<int, RecipientDelay> Delays, DateTimeOffset Next, int Warnings, bool Hold, bool Tried, bool Expire, bool Removed)
{
    public static MessageModel Arrived(Envelope envelope) =>
        new(envelope.Recipients, [], [], envelope.Arrival, 0, envelope.Hold, false, false, false);

    public MessageModel With(QueueChange change, DateTimeOffset arrival) => change switch
    {
        RecipientsDone done => MarkDone(done.Recipients),
        RecipientExpanded expanded => MarkDone([expanded.Recipient]) with { Recipients = [.. Recipients, .. expanded.Into] },
        MessageDeferred deferred => Defer(deferred),
        MessageHeld => this with { Hold = true },
        MessageReleased => this with { Hold = false, Tried = true, Next = arrival },
        MessageExpired expired => expired.Release
            ? this with { Expire = true, Hold = false, Tried = true, Next = arrival }
            : this with { Expire = true },
        MessageRemoved => this with { Removed = true },
        _ => throw new ArgumentException("unknown change"),
    };

    /// <summary>Why a message read back differs, or null.</summary>
    public string? Difference(StoredMessage found)
    {
        QueueName queue = Hold ? QueueName.Hold : Tried ? QueueName.Deferred : QueueName.Incoming;
        if (Removed || found.Entry.Queue != queue || found.Entry.ForceExpire != Expire || found.Entry.NextAttempt != Next || found.WarningsSent != Warnings)
        {
            return $"row {found.Entry} {found.WarningsSent}, expected {this}";
        }

        if (!found.Envelope.Recipients.SequenceEqual(Recipients))
        {
            return "recipients differ";
        }

        for (int i = 0; i < Recipients.Count; i++)
        {
            bool done = Done.Contains(i);
            RecipientDelay delay = !done && Delays.TryGetValue(i, out RecipientDelay known) ? known : new RecipientDelay(i, "", "");
            if (found.States[i] != new RecipientState(done ? RecipientStatus.Done : RecipientStatus.Pending, delay.Reason, delay.Dsn))
            {
                return $"recipient {i} is {found.States[i]}, done={done}, delay={delay}";
            }
        }

        return null;
    }

    private MessageModel MarkDone(IEnumerable<int> recipients) => this with { Done = [.. Done, .. recipients] };

    private MessageModel Defer(MessageDeferred deferred)
    {
        var delays = new SortedDictionary<int, RecipientDelay>(Delays);
        foreach (RecipientDelay delay in deferred.Delays)
        {
            delays[delay.Recipient] = delay;
        }

        return this with { Delays = delays, Next = deferred.NextAttempt, Warnings = deferred.WarningsSent, Tried = true };
    }
}

/// <summary>A change as the ledger knows it: when it was asked for, and when it was said to be durable (positions in the disk's history).</summary>
internal sealed class LedgerChange(IReadOnlyList<QueueChange> changes, int issued, Task<bool> task)
{
    public IReadOnlyList<QueueChange> Changes { get; } = changes;

    public int Issued { get; } = issued;

    public int Acknowledged { get; set; } = int.MaxValue;

    public Task<bool> Task { get; } = task;
}

/// <summary>A message as the ledger knows it.</summary>
internal sealed class LedgerMessage(Envelope envelope, byte[] content, int issued)
{
    public Envelope Envelope { get; } = envelope;

    public byte[] Content { get; } = content;

    public int Issued { get; set; } = issued;

    public int Acknowledged { get; set; } = int.MaxValue;

    public StoreStatus? Refused { get; set; }

    public MessageModel Base { get; set; } = MessageModel.Arrived(envelope);

    public List<LedgerChange> Changes { get; } = [];

    /// <summary>The state after the first changes.</summary>
    public MessageModel After(int changes) =>
        Changes.Take(changes).SelectMany(static c => c.Changes).Aggregate(Base, (model, change) => model.With(change, Envelope.Arrival));
}

/// <summary>
/// Every promise the spool made, and the check of a recovered spool against them: what was acknowledged is there; what was
/// not is there whole or not at all; a message's state is that after some first part of its changes, and that part holds
/// every change that was acknowledged.
/// </summary>
internal sealed class SpoolLedger
{
    public Dictionary<string, LedgerMessage> Messages { get; } = [];

    /// <summary>Refused messages that came back all the same; a failed sync may leave that, nothing else.</summary>
    public int Survivors { get; private set; }

    /// <summary>Checks a spool that was recovered after a cut at a position of the disk's history.</summary>
    /// <param name="entries">What it lists.</param>
    /// <param name="load">Reads a message.</param>
    /// <param name="position">Events before the cut.</param>
    /// <param name="faulty">True when disk calls failed on purpose.</param>
    /// <param name="rebase">True to take what was found as the new beginning.</param>
    /// <param name="sameDisk">True after an end without a power cut: what was never acknowledged may be in memory only.</param>
    public void Check(IReadOnlyList<QueueEntry> entries, Func<string, StoredMessage?> load, int position, bool faulty, bool rebase = false, bool sameDisk = false)
    {
        var found = entries.ToDictionary(static entry => entry.QueueId);
        foreach (string unknown in found.Keys.Where(id => !Messages.TryGetValue(id, out LedgerMessage? m) || m.Issued > position))
        {
            Assert.Fail($"{unknown} was never given to the spool");
        }

        foreach ((string id, LedgerMessage message) in Messages.ToArray())
        {
            if (message.Issued > position)
            {
                continue;
            }

            int first = message.Changes.FindLastIndex(change => change.Acknowledged <= position) + 1;
            int last = message.Changes.FindLastIndex(change => change.Issued <= position) + 1;
            MessageModel? model = found.ContainsKey(id) ? CheckPresent(message, load(id), first, last, faulty) : CheckAbsent(message, position, first, last);
            if (rebase)
            {
                Rebase(id, message, model, acknowledged: !(faulty && sameDisk) || message.Acknowledged <= position);
            }
        }
    }

    private static MessageModel? CheckAbsent(LedgerMessage message, int position, int first, int last)
    {
        if (message.Acknowledged <= position && !Enumerable.Range(first, last - first + 1).Any(n => message.After(n).Removed))
        {
            Assert.Fail($"{message.Envelope.QueueId} was acknowledged at {message.Acknowledged} and is lost at {position}");
        }

        return null;
    }

    private MessageModel CheckPresent(LedgerMessage message, StoredMessage? stored, int first, int last, bool faulty)
    {
        string id = message.Envelope.QueueId;
        Assert.NotNull(stored);
        using (stored)
        {
            if (message.Refused is not null)
            {
                Assert.True(faulty, $"{id} was refused and came back");
                Survivors++;
            }

            byte[] content = new byte[stored.Content.Length];
            Assert.Equal(content.Length, stored.Content.ReadAsync(0, content, CancellationToken.None).AsTask().Result);
            Assert.True(content.AsSpan().SequenceEqual(message.Content), $"{id}: the content differs");
            string difference = "";
            for (int n = last; n >= first; n--)
            {
                MessageModel model = message.After(n);
                if (model.Difference(stored) is not { } text)
                {
                    return model;
                }

                difference += $"\n  after {n} changes: {text}";
            }

            Assert.Fail($"{id}: no state between {first} and {last} changes fits:{difference}");
            return null!;
        }
    }

    private void Rebase(string id, LedgerMessage message, MessageModel? model, bool acknowledged)
    {
        if (model is null)
        {
            Messages.Remove(id);
            return;
        }

        message.Base = model;
        message.Changes.Clear();
        message.Issued = 0;
        message.Acknowledged = acknowledged ? 0 : int.MaxValue;
        message.Refused = acknowledged ? null : message.Refused;
    }
}
