namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Applies records read from the log to the index, oldest first. Applying a record twice, or one whose effect a snapshot
/// holds already, changes nothing in the end, as long as all later records are applied after it.
/// </summary>
internal sealed class IndexReplay(SpoolIndex index)
{
    /// <summary>Applies a record whose checksum is right.</summary>
    /// <returns>False if its body makes no sense, which a right checksum excludes unless we wrote nonsense.</returns>
    public bool Apply(RecordType type, string queueId, ReadOnlySpan<byte> body, Segment segment, int offset, int length)
    {
        var reader = new RecordReader(body);
        return type switch
        {
            RecordType.Message => ApplyMessage(queueId, ref reader, segment, offset, length),
            RecordType.Changes => ApplyChanges(queueId, ref reader, segment, offset, length),
            _ => ApplyRemove(queueId, ref reader, segment),
        };
    }

    /// <summary>Applies changes that a caller asked for, or that a record holds, to a message's row.</summary>
    public static void Defer(IndexEntry entry, long nextTicks, int warnings)
    {
        entry.NextTicks = nextTicks;
        entry.Warnings = (byte)Math.Clamp(warnings, 0, 255);
        entry.Flags |= EntryFlags.Tried;
    }

    /// <summary>Back to waiting, due at once.</summary>
    public static void Release(IndexEntry entry)
    {
        entry.Flags = (entry.Flags & ~EntryFlags.Hold) | EntryFlags.Tried;
        entry.NextTicks = entry.ArrivalTicks;
    }

    /// <summary>Expires at its next attempt.</summary>
    public static void Expire(IndexEntry entry, bool release)
    {
        entry.Flags |= EntryFlags.ForceExpire;
        if (release)
        {
            Release(entry);
        }
    }

    private bool ApplyMessage(string queueId, ref RecordReader reader, Segment segment, int offset, int length)
    {
        if ((RecordItem)reader.Byte() != RecordItem.Summary)
        {
            return false;
        }

        MessageSummary summary = RecordFormat.ReadSummary(ref reader);
        if (reader.Failed || (RecordItem)reader.Byte() != RecordItem.Envelope)
        {
            return false;
        }

        RecordFormat.SkipEnvelope(ref reader);
        if (index.Entries.TryGetValue(queueId, out IndexEntry? entry))
        {
            index.DropExpansions(entry, entry.Extra?.Expansions.Length ?? 0);
            index.PlaceState(entry, null, 0, 0);
            entry.ClearState();
        }
        else
        {
            entry = new IndexEntry(queueId) { Origin = segment.Generation };
        }

        entry.ArrivalTicks = summary.ArrivalTicks;
        entry.NextTicks = summary.ArrivalTicks;
        entry.Size = summary.Size;
        entry.RecipientCount = summary.RecipientCount;
        entry.Flags |= summary.Hold ? EntryFlags.Hold : EntryFlags.None;
        if (summary.MaildropKey.Length > 0)
        {
            entry.MakeExtra().MaildropKey = summary.MaildropKey;
        }

        while (!reader.AtEnd)
        {
            switch ((RecordItem)reader.Byte())
            {
                case RecordItem.FileContent:
                    EntryExtra extra = entry.MakeExtra();
                    extra.ContentFile = reader.Number();
                    extra.ContentChecksum = (uint)reader.Number();
                    break;
                case RecordItem.Span:
                    entry.Origin = Math.Min(entry.Origin, RecordFormat.ReadSpan(ref reader).First);
                    break;
                case RecordItem.Status:
                    ApplyStatus(entry, RecordFormat.ReadStatus(ref reader), segment, offset, length);
                    break;
                case RecordItem.InlineContent:
                    reader = default;
                    break;
                default:
                    return false;
            }
        }

        if (reader.Failed)
        {
            return false;
        }

        index.Place(entry, segment, offset, length);
        index.Add(entry);
        return true;
    }

    private bool ApplyChanges(string queueId, ref RecordReader reader, Segment segment, int offset, int length)
    {
        if (!index.Entries.TryGetValue(queueId, out IndexEntry? entry))
        {
            return true;
        }

        segment.AddForeign(entry.Origin);
        while (!reader.AtEnd)
        {
            switch ((RecordItem)reader.Byte())
            {
                case RecordItem.Done:
                    foreach (int recipient in RecordFormat.ReadPositions(ref reader))
                    {
                        entry.MarkDone(recipient);
                    }

                    break;
                case RecordItem.Expanded:
                    (int from, int firstIndex, EnvelopeRecipient[] into) = RecordFormat.ReadExpanded(ref reader);
                    if (AddExpansion(entry, firstIndex, into.Length, segment, offset, length))
                    {
                        entry.MarkDone(from);
                    }

                    break;
                case RecordItem.Deferred:
                    (long nextTicks, byte warnings, _) = RecordFormat.ReadDeferred(ref reader);
                    Defer(entry, nextTicks, warnings);
                    index.PlaceState(entry, segment, offset, length);
                    break;
                case RecordItem.Hold:
                    entry.Flags |= EntryFlags.Hold;
                    break;
                case RecordItem.Release:
                    Release(entry);
                    break;
                case RecordItem.Expire:
                    Expire(entry, reader.Flag());
                    break;
                case RecordItem.Status:
                    ApplyStatus(entry, RecordFormat.ReadStatus(ref reader), segment, offset, length);
                    break;
                default:
                    return false;
            }
        }

        return !reader.Failed;
    }

    private void ApplyStatus(IndexEntry entry, MessageStatus status, Segment segment, int offset, int length)
    {
        const EntryFlags Kept = EntryFlags.Hold | EntryFlags.Tried | EntryFlags.ForceExpire;
        entry.Flags = (entry.Flags & ~Kept) | (status.Flags & Kept);
        entry.Warnings = status.Warnings;
        entry.NextTicks = status.NextTicks;
        if (status.Added.Length > 0)
        {
            index.DropExpansions(entry, entry.Extra?.Expansions.Length ?? 0);
            entry.RecipientCount = status.FirstAdded;
            AddExpansion(entry, status.FirstAdded, status.Added.Length, segment, offset, length);
        }

        foreach (int recipient in status.Done)
        {
            entry.MarkDone(recipient);
        }

        index.PlaceState(entry, segment, offset, length);
    }

    /// <summary>
    /// Appends the recipients that one was replaced by. False if they cannot have their places, since a record of others before
    /// them is damaged: the one that they come from is expanded once more.
    /// </summary>
    private bool AddExpansion(IndexEntry entry, int firstIndex, int count, Segment segment, int offset, int length)
    {
        EntryExtra extra = entry.MakeExtra();
        foreach (Expansion known in extra.Expansions)
        {
            if (known.FirstIndex == firstIndex && known.Count == count)
            {
                // A later copy of the record: it is the one whose sync succeeded.
                index.PlaceExpansion(known, segment, offset, length);
                return true;
            }
        }

        if (firstIndex != entry.RecipientCount)
        {
            return false;
        }

        if (count == 0)
        {
            return true;
        }

        var expansion = new Expansion { FirstIndex = firstIndex, Count = count };
        extra.Expansions = [.. extra.Expansions, expansion];
        entry.RecipientCount += count;
        index.PlaceExpansion(expansion, segment, offset, length);
        return true;
    }

    private bool ApplyRemove(string queueId, ref RecordReader reader, Segment segment)
    {
        if ((RecordItem)reader.Byte() != RecordItem.Span)
        {
            return false;
        }

        segment.AddForeign(RecordFormat.ReadSpan(ref reader).First);
        if (index.Entries.TryGetValue(queueId, out IndexEntry? entry))
        {
            index.Remove(entry);
        }

        return !reader.Failed;
    }
}
