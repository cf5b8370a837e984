namespace Postwright.Server.Queue.Spool;

/// <summary>
/// All that is queued, and the segments it stands in, with the counts that say what of a segment is still needed. Not
/// thread-safe: the spool's gate guards it.
/// </summary>
internal sealed class SpoolIndex
{
    /// <summary>Maildrop keys of removed messages that are remembered: a file whose removal a crash undid is then not sent twice.</summary>
    private const int RecentKeys = 4096;

    private readonly Dictionary<string, IndexEntry> _maildrop = [];
    private readonly HashSet<string> _recent = [];
    private readonly Queue<string> _recentOrder = new(16);

    /// <summary>The messages by queue ID.</summary>
    public Dictionary<string, IndexEntry> Entries { get; } = [];

    /// <summary>The segments that can be read, oldest first.</summary>
    public SortedDictionary<uint, Segment> Segments { get; } = [];

    /// <summary>
    /// True when this maildrop file's message is queued, or left the queue a short while ago. One that is corrupt does not
    /// count: the file may be all that is left of it.
    /// </summary>
    public bool KnowsMaildrop(string key) =>
        key.Length > 0 && (_maildrop.TryGetValue(key, out IndexEntry? entry) ? !entry.Has(EntryFlags.Corrupt) : _recent.Contains(key));

    /// <summary>Remembers the key of a message that has left the queue.</summary>
    public void RememberMaildrop(string key)
    {
        if (_recent.Add(key))
        {
            _recentOrder.Enqueue(key);
            HasUnsavedKeys = true;
            if (_recentOrder.Count > RecentKeys)
            {
                _recent.Remove(_recentOrder.Dequeue());
            }
        }
    }

    /// <summary>The keys that are remembered, oldest first.</summary>
    public string[] RememberedMaildrop() => [.. _recentOrder];

    /// <summary>True when keys were remembered that no snapshot has yet: they stand in the log only, until its segment's next life.</summary>
    public bool HasUnsavedKeys { get; set; }

    /// <summary>Forgets all messages; the segments stay, as if nothing in them were known.</summary>
    public void Clear()
    {
        Entries.Clear();
        _maildrop.Clear();
        _recent.Clear();
        _recentOrder.Clear();
        foreach (Segment segment in Segments.Values)
        {
            segment.LiveMessages = segment.LiveStates = 0;
            segment.LiveBytes = 0;
            segment.OldestForeign = uint.MaxValue;
            segment.InSnapshot = false;
        }
    }

    /// <summary>True when a segment other than <paramref name="but"/> with a number in this range can be read.</summary>
    public bool HasSegmentIn(uint first, uint last, uint but)
    {
        foreach (uint generation in Segments.Keys)
        {
            if (generation >= first && generation <= last && generation != but)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>True when a message was taken out whose removal is not on disk yet: a crash brings it back.</summary>
    public bool HasUnwrittenRemovals => Segments.Values.Sum(static segment => segment.LiveMessages) > Entries.Count;

    /// <summary>
    /// Enters a message. A second copy of a maildrop file's message replaces the first: the first was never acknowledged,
    /// and what aborts it may still follow.
    /// </summary>
    public void Add(IndexEntry entry)
    {
        if (entry.Extra is { MaildropKey.Length: > 0 } extra)
        {
            if (_maildrop.TryGetValue(extra.MaildropKey, out IndexEntry? first) && first != entry)
            {
                Remove(first);
            }

            _maildrop[extra.MaildropKey] = entry;
        }

        Entries[entry.QueueId] = entry;
    }

    /// <summary>Takes a message out and settles the counts of its segments.</summary>
    public void Remove(IndexEntry entry)
    {
        Hide(entry);
        Unplace(entry);
    }

    /// <summary>Takes a message out; the counts of its segments wait until the removal is on disk.</summary>
    public void Hide(IndexEntry entry)
    {
        entry.Flags |= EntryFlags.Removed;
        if (Entries.TryGetValue(entry.QueueId, out IndexEntry? found) && found == entry)
        {
            Entries.Remove(entry.QueueId);
        }

        if (entry.Extra is { MaildropKey.Length: > 0 } extra && _maildrop.TryGetValue(extra.MaildropKey, out found) && found == entry)
        {
            _maildrop.Remove(extra.MaildropKey);
            RememberMaildrop(extra.MaildropKey);
        }
    }

    /// <summary>Settles the counts of a message that is gone.</summary>
    public void Unplace(IndexEntry entry)
    {
        Place(entry, null, 0, 0);
        PlaceState(entry, null, 0, 0);
        DropExpansions(entry, entry.Extra?.Expansions.Length ?? 0);
    }

    /// <summary>Sets where a message's record is.</summary>
    public void Place(IndexEntry entry, Segment? segment, int offset, int length)
    {
        if (entry.Segment is { } old)
        {
            old.LiveMessages--;
            old.LiveBytes -= entry.Length;
        }

        (entry.Segment, entry.Offset, entry.Length) = (segment, offset, length);
        if (segment is not null)
        {
            segment.LiveMessages++;
            segment.LiveBytes += length;
        }
    }

    /// <summary>Sets where a message's delays are.</summary>
    public void PlaceState(IndexEntry entry, Segment? segment, int offset, int length)
    {
        if (entry.StateSegment is { } old)
        {
            old.LiveStates--;
        }

        (entry.StateSegment, entry.StateOffset, entry.StateLength) = (segment, offset, length);
        if (segment is not null)
        {
            segment.LiveStates++;
        }
    }

    /// <summary>Sets where an expansion is.</summary>
    public void PlaceExpansion(Expansion expansion, Segment segment, int offset, int length)
    {
        if (expansion.Segment is { } old)
        {
            old.LiveStates--;
        }

        (expansion.Segment, expansion.Offset, expansion.Length, expansion.Pending) = (segment, offset, length, null);
        segment.LiveStates++;
    }

    /// <summary>Forgets the first expansions: another record holds their recipients now.</summary>
    public void DropExpansions(IndexEntry entry, int count)
    {
        if (count == 0)
        {
            return;
        }

        foreach (Expansion expansion in entry.Extra!.Expansions.AsSpan(0, count))
        {
            if (expansion.Segment is { } segment)
            {
                segment.LiveStates--;
            }
        }

        entry.Extra.Expansions = entry.Extra.Expansions[count..];
    }
}
