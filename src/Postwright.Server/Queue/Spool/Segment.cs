using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// A segment that is open: its file, how far it is synced, and what in it is still needed. Its counts are guarded by the
/// spool's gate.
/// </summary>
internal sealed class Segment(SegmentHeader header, IDiskFile file, string path) : IDisposable
{
    private long _fileBytes = header.Size;

    public SegmentHeader Header { get; } = header;

    public uint Generation => Header.Generation;

    public IDiskFile File { get; } = file;

    public string Path { get; } = path;

    public uint Seed { get; } = SegmentFormat.Seed(header.Salt, header.Generation);

    /// <summary>Everything below is synced, and records may be acknowledged.</summary>
    public long Synced { get; set; } = SegmentFormat.Page;

    /// <summary>
    /// Records from here on were found at the start, but nothing proves that they are on the disk and not in memory only:
    /// after a failed sync even another sync does not prove it.
    /// </summary>
    public long Trusted { get; set; } = long.MaxValue;

    /// <summary>What stands behind <see cref="Synced"/> was taken over by a recovery.</summary>
    public bool TailCounts { get; set; }

    /// <summary>Where reading the segment ends.</summary>
    public long ReadEnd => TailCounts ? End : Math.Min(Synced, End);

    /// <summary>Batches written.</summary>
    public long Batches { get; set; }

    /// <summary>Messages whose newest record is here.</summary>
    public int LiveMessages { get; set; }

    /// <summary>Bytes of those records.</summary>
    public long LiveBytes { get; set; }

    /// <summary>Messages whose newest state, or part of whose recipients, is here.</summary>
    public int LiveStates { get; set; }

    /// <summary>
    /// The oldest segment in which a message began that a record here changes or removes. While a segment from there up to
    /// this one exists, such records must outlive this segment.
    /// </summary>
    public uint OldestForeign { get; set; } = uint.MaxValue;

    /// <summary>The snapshot on disk knows this segment, so it must not go before the next snapshot does without it.</summary>
    public bool InSnapshot { get; set; }

    /// <summary>Loads under way; the file is not given a next life before they end.</summary>
    public int Readers { get; set; }

    /// <summary>The name that it was to have among the free files when it was last tried to give it one; null for none yet.</summary>
    public string? FreePath { get; set; }

    /// <summary>Its file was to be deleted: whether it is still there is not known.</summary>
    public bool IsDeleted { get; set; }

    /// <summary>It holds nothing any more, and its name may be gone already: no snapshot may say that the log is to be read from here on.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>A damaged message in it is listed in the corrupt queue: it stays until the next start.</summary>
    public bool KeepForever { get; set; }

    /// <summary>Bytes of the file: fewer than the header says where the unused end was given back.</summary>
    public long FileBytes
    {
        get => _fileBytes;
        init => _fileBytes = value;
    }

    /// <summary>False when the unused end of the file was given back, or was to be: it is no place for another segment.</summary>
    public bool IsWhole { get; private set; } = true;

    /// <summary>
    /// True when much of the file is of no use to anybody, once nothing is written to it any more. Not where a recovery has taken
    /// over what stands at the end.
    /// </summary>
    public bool HasUnusedEnd => !TailCounts && FileBytes - Synced - SegmentFormat.Page > Header.Size / 4;

    /// <summary>Where batches must end: the last page holds the second header.</summary>
    public long End => Header.Size - SegmentFormat.Page;

    /// <summary>Notes that a record about a message which began in <paramref name="origin"/> stands here.</summary>
    public void AddForeign(uint origin)
    {
        if (origin < Generation && origin < OldestForeign)
        {
            OldestForeign = origin;
        }
    }

    /// <summary>
    /// Gives the unused end of the file back: what is not synced there was written again, or refused. The second header moves to
    /// where the file ends now. Nothing waits for a sync: if the file is as long as before after a power cut, it is so once more.
    /// </summary>
    /// <exception cref="DiskException">The disk failed; it may be tried again.</exception>
    public void CutUnusedEnd()
    {
        byte[] page = new byte[SegmentFormat.Page];
        SegmentFormat.WriteHeader(page, Header);
        IsWhole = false;
        File.Write(page, Synced);
        File.Truncate(Synced + SegmentFormat.Page);
        _fileBytes = Synced + SegmentFormat.Page;
    }

    /// <inheritdoc />
    public void Dispose() => File.Dispose();
}
