namespace Postwright.Server.Queue.Spool;

/// <summary>Writes and reads one row of the index.</summary>
internal static class SnapshotRow
{
    /// <summary>Writes a row whose records are all on disk. The gate is held.</summary>
    public static void Write(RecordWriter writer, IndexEntry entry)
    {
        writer.Text(entry.QueueId);
        writer.Byte((byte)(entry.Flags & ~EntryFlags.ContentVerified));
        writer.Byte(entry.Warnings);
        WritePlace(writer, entry.Segment, entry.Offset, entry.Length);
        WritePlace(writer, entry.StateSegment, entry.StateOffset, entry.StateLength);
        writer.Number(entry.ArrivalTicks);
        writer.Number(entry.NextTicks);
        writer.Number(entry.Size);
        writer.Number(entry.RecipientCount);
        writer.Number(entry.Origin);
        writer.Number(entry.FirstDone);
        EntryExtra? extra = entry.Extra;
        ulong[] more = extra?.MoreDone ?? [];
        writer.Number(more.Length);
        foreach (ulong word in more)
        {
            writer.Number(word);
        }

        Expansion[] expansions = extra?.Expansions ?? [];
        writer.Number(expansions.Length);
        foreach (Expansion expansion in expansions)
        {
            writer.Number(expansion.FirstIndex);
            writer.Number(expansion.Count);
            WritePlace(writer, expansion.Segment, expansion.Offset, expansion.Length);
        }

        writer.Number(extra?.ContentFile ?? 0);
        writer.Number(extra?.ContentChecksum ?? 0);
        writer.Text(extra?.MaildropKey ?? "");
    }

    /// <summary>Reads a row into the index; false if it refers to a segment that is not there.</summary>
    public static bool Read(ref RecordReader reader, SpoolIndex index)
    {
        var entry = new IndexEntry(reader.Text()) { Flags = (EntryFlags)reader.Byte(), Warnings = reader.Byte() };
        if (!ReadPlace(ref reader, index, out Segment? segment, out int offset, out int length) || segment is null
            || !ReadPlace(ref reader, index, out Segment? stateSegment, out int stateOffset, out int stateLength))
        {
            return false;
        }

        entry.ArrivalTicks = reader.Long();
        entry.NextTicks = reader.Long();
        entry.Size = reader.Long();
        entry.RecipientCount = reader.Small();
        entry.Origin = (uint)reader.Number();
        entry.FirstDone = reader.Number();
        if (!ReadExtra(ref reader, entry, index) || reader.Failed)
        {
            return false;
        }

        segment.KeepForever |= entry.Has(EntryFlags.Corrupt);
        index.Place(entry, segment, offset, length);
        index.PlaceState(entry, stateSegment, stateOffset, stateLength);
        index.Add(entry);
        return true;
    }

    private static bool ReadExtra(ref RecordReader reader, IndexEntry entry, SpoolIndex index)
    {
        int words = reader.Count();
        if (words > 0)
        {
            entry.MakeExtra().MoreDone = new ulong[words];
            for (int i = 0; i < words; i++)
            {
                entry.Extra!.MoreDone[i] = reader.Number();
            }
        }

        int expansions = reader.Count();
        for (int i = 0; i < expansions; i++)
        {
            var expansion = new Expansion { FirstIndex = reader.Small(), Count = reader.Small() };
            if (!ReadPlace(ref reader, index, out Segment? segment, out int offset, out int length) || segment is null)
            {
                return false;
            }

            entry.MakeExtra().Expansions = [.. entry.Extra!.Expansions, expansion];
            index.PlaceExpansion(expansion, segment, offset, length);
        }

        ulong file = reader.Number();
        uint checksum = (uint)reader.Number();
        if (file != 0)
        {
            (entry.MakeExtra().ContentFile, entry.Extra!.ContentChecksum) = (file, checksum);
        }

        string key = reader.Text();
        if (key.Length > 0)
        {
            entry.MakeExtra().MaildropKey = key;
        }

        return true;
    }

    private static void WritePlace(RecordWriter writer, Segment? segment, int offset, int length)
    {
        writer.Number(segment?.Generation ?? 0);
        writer.Number(offset);
        writer.Number(length);
    }

    /// <summary>Reads a place; false if its segment is not the one that was meant.</summary>
    private static bool ReadPlace(ref RecordReader reader, SpoolIndex index, out Segment? segment, out int offset, out int length)
    {
        uint generation = (uint)reader.Number();
        (segment, offset, length) = (null, reader.Small(), reader.Small());
        return generation == 0 || (index.Segments.TryGetValue(generation, out segment) && segment.InSnapshot);
    }
}
