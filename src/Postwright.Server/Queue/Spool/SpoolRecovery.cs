using System.Globalization;
using System.Text;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Builds the index from what is on disk: the newest snapshot that is whole, then the log behind it; without one, the whole
/// log, which alone is enough. Never writes to a segment. Damage is kept in the corrupt directory and listed, never passed
/// over. Blocks on the disk; run it where that is allowed.
/// </summary>
internal sealed class SpoolRecovery(SpoolOptions options, IDisk disk, SpoolIndex index, MailLog? log, bool readOnly) : IScanSink
{
    private readonly IndexReplay _replay = new(index);
    private readonly List<SpoolDamage> _damages = [];
    private readonly Dictionary<uint, SyncProof> _proofs = [];

    /// <summary>What was found damaged.</summary>
    public IReadOnlyList<SpoolDamage> Damages => _damages;

    /// <summary>Names of files that wait to become segments.</summary>
    public List<string> FreeFiles { get; } = [];

    /// <summary>One more than any number a segment ever had that can be seen.</summary>
    public uint NextGeneration { get; private set; } = 1;

    /// <summary>Messages of which something stands where it is not trusted: it must be written anew before older segments go.</summary>
    public IEnumerable<IndexEntry> Untrusted() => index.Entries.Values.Where(static entry =>
        !entry.Has(EntryFlags.Corrupt)
        && (entry.Offset >= entry.Segment!.Trusted
            || entry.StateOffset >= (entry.StateSegment?.Trusted ?? long.MaxValue)
            || (entry.Extra?.Expansions.Any(static e => e.Offset >= e.Segment!.Trusted) ?? false)));

    /// <summary>Reads everything.</summary>
    /// <exception cref="DiskException">The disk failed: nothing is known about what is queued.</exception>
    public void Run()
    {
        var contents = new Dictionary<ulong, string>();
        foreach (string name in disk.List(options.Directory))
        {
            if (SegmentPool.TryParse(name, out uint generation))
            {
                OpenSegment(name, generation);
            }
            else if (ContentFiles.TryParse(name, out ulong number))
            {
                contents[number] = name;
            }
            else if (SegmentPool.IsFree(name))
            {
                FreeFiles.Add(name);
            }
        }

        foreach (Segment segment in index.Segments.Values)
        {
            foreach (SyncProof proof in segment.Header.Proofs)
            {
                if (!_proofs.TryGetValue(proof.Generation, out SyncProof known) || known.Synced < proof.Synced)
                {
                    _proofs[proof.Generation] = proof;
                }
            }
        }

        bool lastIsSynced = SyncLast();
        SnapshotPosition from = SpoolSnapshot.TryLoad(options, disk, index, log);
        foreach (Segment segment in index.Segments.Values)
        {
            if (segment.Generation >= from.Generation)
            {
                Scan(segment, segment.Generation == from.Generation ? from.Offset : SegmentFormat.Page);
            }
            else if (_proofs.TryGetValue(segment.Generation, out SyncProof proof))
            {
                (segment.Synced, segment.TailCounts) = (proof.Synced, proof.TailCounts);
            }
            else
            {
                segment.Synced = segment.End;
            }
        }

        if (!lastIsSynced)
        {
            Segment last = index.Segments.Values.Last();
            last.Synced = Math.Max(SegmentFormat.Page, _proofs.GetValueOrDefault(last.Generation).Synced);
        }

        CheckContents(contents);
    }

    /// <inheritdoc />
    public void Record(Segment segment, RecordHeader header, ReadOnlySpan<byte> record, int offset)
    {
        string queueId = Encoding.Latin1.GetString(record.Slice(SegmentFormat.RecordHeaderSize, header.IdLength));
        ReadOnlySpan<byte> body = record[(SegmentFormat.RecordHeaderSize + header.IdLength)..];
        if (!QueueIds.IsValid(queueId) || !_replay.Apply(header.Type, queueId, body, segment, offset, header.Length))
        {
            Damage(segment, offset, header.Length, null);
        }
    }

    /// <inheritdoc />
    public void Damage(Segment segment, long offset, long length, string? queueId)
    {
        string kept = Keep(segment, offset, length, queueId);
        _damages.Add(new SpoolDamage(segment.Generation, offset, length, queueId, kept));
        if (queueId is not null && !index.Entries.ContainsKey(queueId))
        {
            var entry = new IndexEntry(queueId) { Flags = EntryFlags.Corrupt, Size = length, Origin = segment.Generation };
            segment.KeepForever = true;
            index.Place(entry, segment, (int)offset, (int)length);
            index.Add(entry);
        }
    }

    private void Scan(Segment segment, long start)
    {
        bool isProven = _proofs.TryGetValue(segment.Generation, out SyncProof proof);
        segment.TailCounts = !isProven || proof.TailCounts;
        var scanner = new SegmentScanner(segment, proof.Synced, segment.TailCounts ? segment.End : proof.Synced, this);
        long whole = scanner.Scan(start);
        segment.Trusted = Math.Max(start, scanner.Proven);

        // Behind a proof stands what may be in memory only: that it can be read now does not say that it is on the disk.
        segment.Synced = isProven ? Math.Max(proof.Synced, SegmentFormat.Page) : whole;
    }

    private void OpenSegment(string name, uint generation)
    {
        NextGeneration = Math.Max(NextGeneration, generation + 1);
        string path = Path.Combine(options.Directory, name);
        IDiskFile file = disk.Open(path, readOnly ? DiskOpen.Read : DiskOpen.ReadWrite);
        byte[] page = new byte[SegmentFormat.Page];
        file.Read(page, 0);
        SegmentHeader? header = SegmentFormat.ReadHeader(page);
        if (header is null || header.Generation != generation)
        {
            Array.Clear(page);
            file.Read(page, Math.Max(0, file.Length - SegmentFormat.Page));
            header = SegmentFormat.ReadHeader(page);
            if (header is null || header.Generation != generation)
            {
                long length = file.Length;
                file.Dispose();
                _damages.Add(new SpoolDamage(generation, 0, length, null, path));
                return;
            }

            _damages.Add(new SpoolDamage(generation, 0, SegmentFormat.Page, null, path));
        }

        index.Segments[generation] = new Segment(header, file, path) { FileBytes = file.Length };
    }

    /// <summary>
    /// What stands in the newest segment may be in memory only (a killed process, not a power cut): it must be on disk before
    /// anything says that it is. Before it is read, since a kernel whose sync fails may throw away what it had.
    /// </summary>
    private bool SyncLast()
    {
        if (readOnly || index.Segments.Count == 0)
        {
            return true;
        }

        try
        {
            index.Segments.Values.Last().File.Sync();
            return true;
        }
        catch (DiskException failure)
        {
            log?.Warning($"spool: {failure.Message}");
            return false;
        }
    }

    private void CheckContents(Dictionary<ulong, string> contents)
    {
        foreach (IndexEntry entry in index.Entries.Values)
        {
            if (entry.Extra is { ContentFile: > 0 } extra && !contents.Remove(extra.ContentFile))
            {
                entry.Flags |= EntryFlags.Corrupt;
                entry.Segment!.KeepForever = true;
                _damages.Add(new SpoolDamage(entry.Segment!.Generation, entry.Offset, entry.Length, entry.QueueId, ""));
            }
        }

        // With damage about, a file that no record names may be that of a damaged record: it stays.
        if (!readOnly && _damages.Count == 0)
        {
            foreach (string orphan in contents.Values)
            {
                try
                {
                    disk.Delete(Path.Combine(options.Directory, orphan));
                }
                catch (DiskException failure)
                {
                    log?.Warning($"spool: {failure.Message}");
                }
            }
        }
    }

    private string Keep(Segment segment, long offset, long length, string? queueId)
    {
        string name = Path.Combine(options.CorruptDirectory, queueId ?? string.Create(CultureInfo.InvariantCulture, $"{segment.Generation}-{offset}"));
        return readOnly || DamageKeeper.Keep(disk, options.CorruptDirectory, name, segment.File, offset, length) ? name : "";
    }
}
