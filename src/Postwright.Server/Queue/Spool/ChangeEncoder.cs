using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Turns the changes of one message into one record, and applies them to its row, so that they are seen at once and
/// written in the same order. What is too much for one record makes several, in an order in which a crash between two of them
/// loses nothing: a recipient is done only in the last record of its expansion. The gate is held.
/// </summary>
internal sealed class ChangeEncoder(SpoolIndex index, ContentCache cache, int mostRecord)
{
    /// <summary>A record begins with its header and the queue ID, and a single item takes at most half of what is left.</summary>
    private readonly int _mostItem = (mostRecord - SegmentFormat.RecordHeaderSize - SegmentFormat.MostIdLength) / 2;

    /// <summary>Marks nobody done when it is read back.</summary>
    private const int NoRecipient = int.MaxValue;

    /// <summary>Bytes of an expansion beside its recipients.</summary>
    private const int ExpandedBound = 16;

    /// <summary>Bytes of a deferral beside its delays.</summary>
    private const int DeferredBound = 17;

    private readonly List<PendingRecord> _records = [];

    /// <summary>Encodes changes of one message.</summary>
    /// <returns>The records, none if there is nothing to write; the next call uses the list again.</returns>
    public IReadOnlyList<PendingRecord> Encode(IndexEntry entry, IReadOnlyList<QueueChange> changes, RecordWriter writer, uint currentGeneration)
    {
        _records.Clear();
        writer.Clear();
        PendingRecord.WriteId(writer, entry.QueueId);
        for (int i = 0; i < changes.Count; i++)
        {
            if (changes[i] is MessageRemoved)
            {
                EncodeRemove(entry, writer, currentGeneration);
                return _records;
            }
        }

        PendingRecord record = PendingRecord.Pool.Take();
        for (int i = 0; i < changes.Count; i++)
        {
            Encode(entry, changes[i], ref record, writer);
        }

        if (writer.Length > entry.QueueId.Length)
        {
            Add(PendingKind.Changes, entry, record, writer);
            entry.PendingRecords++;
        }
        else
        {
            PendingRecord.Pool.Return(record);
        }

        return _records;
    }

    /// <summary>The delays that are known of a message's pending recipients; from the disk if they are not in memory.</summary>
    public static IReadOnlyList<RecipientDelay> KnownDelays(IndexEntry entry)
    {
        if (entry.Extra?.Delays is { } known)
        {
            return known;
        }

        if (entry.StateSegment is not { } segment)
        {
            return [];
        }

        try
        {
            return MessageLoader.LoadDelays(new RecordPlace(segment, entry.StateOffset, entry.StateLength), entry.QueueId);
        }
        catch (DiskException)
        {
            // They only say why a recipient waits; the change itself must not fail for them.
            return [];
        }
    }

    private void Add(PendingKind kind, IndexEntry entry, PendingRecord record, RecordWriter writer)
    {
        record.Set(kind, entry.QueueId, writer, default);
        record.Entry = entry;
        _records.Add(record);
    }

    /// <summary>Sees to room for an item, in another record if need be.</summary>
    private void Reserve(long bytes, IndexEntry entry, ref PendingRecord record, RecordWriter writer)
    {
        if (writer.Length == entry.QueueId.Length || SegmentFormat.RecordHeaderSize + writer.Length + bytes <= mostRecord)
        {
            return;
        }

        Add(PendingKind.Changes, entry, record, writer);
        entry.PendingRecords++;
        record = PendingRecord.Pool.Take();
        PendingRecord.WriteId(writer, entry.QueueId);
    }

    private void EncodeRemove(IndexEntry entry, RecordWriter writer, uint currentGeneration)
    {
        // Until it is known where this record will stand, the span is open: the segment that holds it closes it.
        RecordFormat.WriteSpan(writer, Math.Min(entry.Origin, currentGeneration), int.MaxValue);
        Add(PendingKind.Remove, entry, PendingRecord.Pool.Take(), writer);
        if (entry.Cached is { } cached)
        {
            cache.Remove(cached);
        }

        index.Hide(entry);
    }

    private void Encode(IndexEntry entry, QueueChange change, ref PendingRecord record, RecordWriter writer)
    {
        // What the small ones take.
        Reserve(2, entry, ref record, writer);
        switch (change)
        {
            case RecipientsDone done:
                EncodeDone(entry, done.Recipients, ref record, writer);
                break;
            case RecipientExpanded expanded:
                EncodeExpanded(entry, expanded, ref record, writer);
                break;
            case MessageDeferred deferred:
                IReadOnlyList<RecipientDelay> delays = DelayTexts.Fit(Merge(entry, deferred.Delays), _mostItem - DeferredBound);
                Reserve(DeferredBound + DelayTexts.Bound(delays), entry, ref record, writer);
                IndexReplay.Defer(entry, deferred.NextAttempt.UtcTicks, deferred.WarningsSent);
                entry.MakeExtra().Delays = delays;
                record.HasDelays = true;
                RecordFormat.WriteDeferred(writer, deferred.NextAttempt.UtcTicks, deferred.WarningsSent, delays);
                break;
            case MessageHeld:
                entry.Flags |= EntryFlags.Hold;
                writer.Byte((byte)RecordItem.Hold);
                break;
            case MessageReleased:
                IndexReplay.Release(entry);
                writer.Byte((byte)RecordItem.Release);
                break;
            case MessageExpired expired:
                IndexReplay.Expire(entry, expired.Release);
                RecordFormat.WriteExpire(writer, expired.Release);
                break;
            default:
                throw new ArgumentException($"a change that the log cannot hold: {change.GetType().Name}");
        }
    }

    private void EncodeDone(IndexEntry entry, IReadOnlyList<int> recipients, ref PendingRecord record, RecordWriter writer)
    {
        for (int i = 0; i < recipients.Count; i++)
        {
            entry.MarkDone(recipients[i]);
        }

        int most = (_mostItem / RecordFormat.PositionBound) - 2;
        for (int from = 0; from < Math.Max(1, recipients.Count); from += most)
        {
            IReadOnlyList<int> part = recipients.Count <= most ? recipients : [.. recipients.Skip(from).Take(most)];
            Reserve((part.Count + 2) * RecordFormat.PositionBound, entry, ref record, writer);
            RecordFormat.WriteDone(writer, part);
        }
    }

    private void EncodeExpanded(IndexEntry entry, RecipientExpanded expanded, ref PendingRecord record, RecordWriter writer)
    {
        int from = 0;
        do
        {
            int end = from;
            long bytes = ExpandedBound;
            for (; end < expanded.Into.Count && (end == from || bytes + RecordFormat.Bound(expanded.Into[end]) <= _mostItem); end++)
            {
                bytes += RecordFormat.Bound(expanded.Into[end]);
            }

            Reserve(bytes, entry, ref record, writer);
            bool isWhole = from == 0 && end == expanded.Into.Count;
            EncodePart(entry, end == expanded.Into.Count ? expanded.Recipient : NoRecipient, isWhole ? expanded.Into : [.. expanded.Into.Take(from..end)], record, writer);
            from = end;
        }
        while (from < expanded.Into.Count);
        entry.MarkDone(expanded.Recipient);
    }

    private static void EncodePart(IndexEntry entry, int recipient, IReadOnlyList<EnvelopeRecipient> into, PendingRecord record, RecordWriter writer)
    {
        RecordFormat.WriteExpanded(writer, recipient, entry.RecipientCount, into);
        if (into.Count == 0)
        {
            return;
        }

        EntryExtra extra = entry.MakeExtra();
        var expansion = new Expansion { FirstIndex = entry.RecipientCount, Count = into.Count, Pending = into };
        extra.Expansions = [.. extra.Expansions, expansion];
        (record.Expansions ??= []).Add(expansion);
        entry.RecipientCount += expansion.Count;
        if (extra.Cached is { } cached)
        {
            cached.Envelope = cached.Envelope with { Recipients = [.. cached.Envelope.Recipients, .. into] };
        }
    }

    /// <summary>The newest reason of every recipient that still waits, so that one record holds them all.</summary>
    private static List<RecipientDelay> Merge(IndexEntry entry, IReadOnlyList<RecipientDelay> newer)
    {
        var merged = new SortedDictionary<int, RecipientDelay>();
        foreach (RecipientDelay delay in newer)
        {
            merged[delay.Recipient] = delay;
        }

        bool covered = true;
        for (int i = 0; i < entry.RecipientCount && covered; i++)
        {
            covered = entry.IsDone(i) || merged.ContainsKey(i);
        }

        foreach (RecipientDelay delay in covered ? [] : KnownDelays(entry))
        {
            merged.TryAdd(delay.Recipient, delay);
        }

        return [.. merged.Values.Where(delay => (uint)delay.Recipient < (uint)entry.RecipientCount && !entry.IsDone(delay.Recipient))];
    }
}
