using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Turns the changes of one message into one record, and applies them to its row, so that they are seen at once and
/// written in the same order. The gate is held.
/// </summary>
internal sealed class ChangeEncoder(SpoolIndex index, ContentCache cache)
{
    /// <summary>Encodes changes of one message; null if there is nothing to write.</summary>
    public PendingRecord? Encode(IndexEntry entry, IReadOnlyList<QueueChange> changes, RecordWriter writer, uint currentGeneration)
    {
        writer.Clear();
        PendingRecord.WriteId(writer, entry.QueueId);
        PendingRecord record = PendingRecord.Pool.Take();
        for (int i = 0; i < changes.Count; i++)
        {
            if (changes[i] is MessageRemoved)
            {
                return EncodeRemove(entry, record, writer, currentGeneration);
            }
        }

        int empty = writer.Length;
        for (int i = 0; i < changes.Count; i++)
        {
            Encode(entry, changes[i], record, writer);
        }

        if (writer.Length == empty)
        {
            PendingRecord.Pool.Return(record);
            return null;
        }

        record.Set(PendingKind.Changes, entry.QueueId, writer, default);
        record.Entry = entry;
        entry.PendingRecords++;
        return record;
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

    private PendingRecord EncodeRemove(IndexEntry entry, PendingRecord record, RecordWriter writer, uint currentGeneration)
    {
        // Until it is known where this record will stand, the span is open: the segment that holds it closes it.
        RecordFormat.WriteSpan(writer, Math.Min(entry.Origin, currentGeneration), int.MaxValue);
        record.Set(PendingKind.Remove, entry.QueueId, writer, default);
        record.Entry = entry;
        if (entry.Cached is { } cached)
        {
            cache.Remove(cached);
        }

        index.Hide(entry);
        return record;
    }

    private void Encode(IndexEntry entry, QueueChange change, PendingRecord record, RecordWriter writer)
    {
        switch (change)
        {
            case RecipientsDone done:
                foreach (int recipient in done.Recipients)
                {
                    entry.MarkDone(recipient);
                }

                RecordFormat.WriteDone(writer, done.Recipients);
                break;
            case RecipientExpanded expanded:
                EncodeExpanded(entry, expanded, record, writer);
                break;
            case MessageDeferred deferred:
                IReadOnlyList<RecipientDelay> delays = Merge(entry, deferred.Delays);
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

    private static void EncodeExpanded(IndexEntry entry, RecipientExpanded expanded, PendingRecord record, RecordWriter writer)
    {
        RecordFormat.WriteExpanded(writer, expanded.Recipient, entry.RecipientCount, expanded.Into);
        entry.MarkDone(expanded.Recipient);
        if (expanded.Into.Count == 0)
        {
            return;
        }

        EntryExtra extra = entry.MakeExtra();
        var expansion = new Expansion { FirstIndex = entry.RecipientCount, Count = expanded.Into.Count, Pending = expanded.Into };
        extra.Expansions = [.. extra.Expansions, expansion];
        (record.Expansions ??= []).Add(expansion);
        entry.RecipientCount += expansion.Count;
        if (extra.Cached is { } cached)
        {
            cached.Envelope = cached.Envelope with { Recipients = [.. cached.Envelope.Recipients, .. expanded.Into] };
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
