using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Gives messages out: from memory where they are cached, else read back from the log and checked. Used by the running
/// spool and by <see cref="SpoolReader"/>.
/// </summary>
internal sealed class StoredMessages(SpoolIndex index, ContentFiles files, Lock gate, IDisk disk, string? corruptDirectory, MailLog? log)
{
    /// <summary>Everything queued, in order of arrival.</summary>
    public IReadOnlyList<QueueEntry> Entries()
    {
        QueueEntry[] entries;
        lock (gate)
        {
            entries = [.. index.Entries.Values.Select(static entry => entry.ToQueueEntry())];
        }

        Array.Sort(entries, static (a, b) => a.Arrival.CompareTo(b.Arrival) is var order and not 0 ? order : string.CompareOrdinal(a.QueueId, b.QueueId));
        return entries;
    }

    /// <summary>Reads a message back; null if there is none of that ID.</summary>
    /// <exception cref="IOException">The disk failed, or the message is damaged.</exception>
    public StoredMessage? Load(string queueId)
    {
        for (int attempt = 0; ; attempt++)
        {
            IndexEntry? entry;
            Places places;
            lock (gate)
            {
                if (!index.Entries.TryGetValue(queueId, out entry))
                {
                    return null;
                }

                if (entry.Has(EntryFlags.Corrupt))
                {
                    throw new IOException($"message {queueId} is damaged");
                }

                if (entry.Cached is { Content: { } buffer } cached)
                {
                    buffer.Share();
                    return Make(entry, cached.Envelope, entry.Extra!.Delays ?? ChangeEncoder.KnownDelays(entry), new BufferedContent(buffer, null));
                }

                places = Pin(entry);
            }

            try
            {
                if (Read(entry, places) is { } message)
                {
                    return message;
                }
            }
            finally
            {
                Unpin(places);
            }

            // Changed while it was read: once more. A message changes a few times in its life, so this ends.
            if (attempt > 100)
            {
                throw new IOException($"message {queueId} changes too often to be read");
            }
        }
    }

    private static StoredMessage Make(IndexEntry entry, Envelope envelope, IReadOnlyList<RecipientDelay> delays, MessageContent content)
    {
        var states = new RecipientState[envelope.Recipients.Count];
        for (int i = 0; i < states.Length; i++)
        {
            states[i] = new RecipientState(entry.IsDone(i) ? RecipientStatus.Done : RecipientStatus.Pending);
        }

        foreach (RecipientDelay delay in delays)
        {
            if ((uint)delay.Recipient < (uint)states.Length && states[delay.Recipient].Status == RecipientStatus.Pending)
            {
                states[delay.Recipient] = new RecipientState(RecipientStatus.Pending, delay.Reason, delay.Dsn);
            }
        }

        return new StoredMessage(envelope, states, entry.ToQueueEntry(), content) { WarningsSent = entry.Warnings };
    }

    private static Places Pin(IndexEntry entry)
    {
        var places = new Places
        {
            Message = new RecordPlace(entry.Segment!, entry.Offset, entry.Length),
            State = entry.StateSegment is null ? null : new RecordPlace(entry.StateSegment, entry.StateOffset, entry.StateLength),
            Expansions = [.. (entry.Extra?.Expansions ?? []).Select(static e =>
                (e.FirstIndex, e.Pending, e.Segment is null ? default : new RecordPlace(e.Segment, e.Offset, e.Length)))],
            Delays = entry.Extra?.Delays,
            ContentFile = entry.Extra?.ContentFile ?? 0,
            ContentChecksum = entry.Extra?.ContentChecksum ?? 0,
            Envelope = entry.Cached?.Envelope,
            RecipientCount = entry.RecipientCount,
        };
        foreach (Segment segment in places.Segments())
        {
            segment.Readers++;
        }

        return places;
    }

    private void Unpin(Places places)
    {
        lock (gate)
        {
            foreach (Segment segment in places.Segments())
            {
                segment.Readers--;
            }
        }
    }

    private StoredMessage? Read(IndexEntry entry, Places places)
    {
        Envelope? envelope = places.Envelope;
        SharedBuffer? buffer = null;
        if (envelope is null)
        {
            if (MessageLoader.LoadMessage(places.Message, entry.QueueId) is not { } loaded)
            {
                throw Damaged(entry, places, places.Message);
            }

            (envelope, buffer) = (loaded.Envelope, loaded.Content);
            foreach ((int firstIndex, IReadOnlyList<EnvelopeRecipient>? pending, RecordPlace place) in places.Expansions)
            {
                IReadOnlyList<EnvelopeRecipient>? more = pending ?? MessageLoader.LoadExpansion(place, entry.QueueId, firstIndex);
                if (more is null)
                {
                    buffer?.Release();
                    throw Damaged(entry, places, place);
                }

                envelope = envelope with { Recipients = [.. envelope.Recipients, .. more] };
            }
        }

        IReadOnlyList<RecipientDelay> delays = places.Delays
            ?? (places.State is { } state ? MessageLoader.LoadDelays(state, entry.QueueId) : []);
        MessageContent content = buffer is not null ? new BufferedContent(buffer, null) : OpenFile(entry, places);
        lock (gate)
        {
            if (entry.Has(EntryFlags.Removed) || entry.RecipientCount != envelope.Recipients.Count)
            {
                content.Dispose();
                return null;
            }

            return Make(entry, envelope, delays, content);
        }
    }

    private FileContent OpenFile(IndexEntry entry, Places places)
    {
        IDiskFile file;
        try
        {
            file = files.Open(places.ContentFile);
        }
        catch (DiskException failure) when (failure.Errno == DiskException.NoSuchFile && !entry.Has(EntryFlags.Removed))
        {
            throw Damaged(entry, places, places.Message);
        }

        try
        {
            if (!entry.Has(EntryFlags.ContentVerified))
            {
                if (ContentFiles.Measure(file, entry.Size) != (places.ContentChecksum, entry.Size))
                {
                    throw Damaged(entry, places, places.Message);
                }

                lock (gate)
                {
                    entry.Flags |= EntryFlags.ContentVerified;
                }
            }

            return new FileContent(files, file, places.ContentFile, entry.Size, places.ContentChecksum, adopted: true);
        }
        catch
        {
            files.Release(places.ContentFile, file);
            throw;
        }
    }

    /// <summary>Moves a message to the corrupt queue and keeps its bytes.</summary>
    private IOException Damaged(IndexEntry entry, Places places, RecordPlace place)
    {
        lock (gate)
        {
            entry.Flags |= EntryFlags.Corrupt;
            places.Message.Segment.KeepForever = true;
        }

        string name = "";
        if (corruptDirectory is not null)
        {
            name = Path.Combine(corruptDirectory, entry.QueueId);
            name = DamageKeeper.Keep(disk, corruptDirectory, name, place.Segment.File, place.Offset, place.Length) ? name : "";
        }

        var damage = new SpoolDamage(place.Segment.Generation, place.Offset, place.Length, entry.QueueId, name);
        log?.Warning(damage.ToString());
        return new IOException(damage.ToString());
    }

    private sealed class Places
    {
        public required RecordPlace Message { get; init; }

        public required RecordPlace? State { get; init; }

        public required (int FirstIndex, IReadOnlyList<EnvelopeRecipient>? Pending, RecordPlace Place)[] Expansions { get; init; }

        public required IReadOnlyList<RecipientDelay>? Delays { get; init; }

        public required ulong ContentFile { get; init; }

        public required uint ContentChecksum { get; init; }

        public required Envelope? Envelope { get; init; }

        public required int RecipientCount { get; init; }

        public IEnumerable<Segment> Segments()
        {
            yield return Message.Segment;
            if (State is { } state)
            {
                yield return state.Segment;
            }

            foreach ((_, _, RecordPlace place) in Expansions)
            {
                if (place.Segment is not null)
                {
                    yield return place.Segment;
                }
            }
        }
    }
}
