using System.Globalization;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Files that wait to become segments. A name <c>free-*</c> is never read; a name <c>NUMBER.log</c> is given only after the
/// header with that number is synced, and no record in it is acknowledged before the directory is synced too. So whatever
/// a crash leaves, a segment's name and header agree. All methods block on the disk.
/// </summary>
internal sealed class SegmentPool(SpoolOptions options, IDisk disk, IChance chance)
{
    private readonly Lock _gate = new();
    private readonly Stack<(string Path, IDiskFile File, long Size)> _free = new();
    private readonly HashSet<string> _leftOver = new(StringComparer.Ordinal);
    private long _freeNumber;
    private volatile bool _namesUnsynced;

    /// <summary>The number of the next segment.</summary>
    public uint NextGeneration { get; set; } = 1;

    /// <summary>Files that are ready.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _free.Count;
            }
        }
    }

    /// <summary>The name of a segment's file.</summary>
    public static string NameOf(uint generation) => generation.ToString("D10", CultureInfo.InvariantCulture) + ".log";

    /// <summary>Reads a segment's number from its file's name.</summary>
    public static bool TryParse(string name, out uint generation)
    {
        generation = 0;
        return name.Length == 14 && name.EndsWith(".log", StringComparison.Ordinal)
            && uint.TryParse(name.AsSpan(0, 10), NumberStyles.None, CultureInfo.InvariantCulture, out generation);
    }

    /// <summary>True for the name of a file that waits.</summary>
    public static bool IsFree(string name) => name.StartsWith("free-", StringComparison.Ordinal);

    /// <summary>Takes a free file over that an earlier run left.</summary>
    public void Adopt(string name)
    {
        if (long.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            _freeNumber = Math.Max(_freeNumber, number);
        }

        string path = Path.Combine(options.Directory, name);
        IDiskFile? file = null;
        try
        {
            if (Count < options.FreeSegments)
            {
                file = disk.Open(path, DiskOpen.ReadWrite);
                if (file.Length == options.SegmentBytes)
                {
                    // A killed process may have given it the name, and not have synced that.
                    _namesUnsynced = true;
                    Add(path, file, file.Length);
                    return;
                }
            }
        }
        catch (DiskException)
        {
            // Not worth a fault of its own: another file is made.
        }

        file?.Dispose();
        TryDelete(path);
    }

    /// <summary>Makes a new file, written through once so that later syncs need no metadata.</summary>
    /// <returns>0, or the errno.</returns>
    public int Prepare()
    {
        DeleteLeftOver();
        string path = NewFreePath();
        IDiskFile? file = null;
        try
        {
            file = disk.Open(path, DiskOpen.CreateNew);
            file.Preallocate(options.SegmentBytes);
            file.Sync();
            Add(path, file, options.SegmentBytes);
            return 0;
        }
        catch (DiskException failure)
        {
            if (file is not null)
            {
                file.Dispose();
                TryDelete(path);
            }

            return failure.Errno;
        }
    }

    /// <summary>Gives a segment that holds nothing any more its place among the free files.</summary>
    /// <param name="segment">The segment; its file is taken over, or closed and deleted where there are enough.</param>
    /// <param name="synced">True to make the new name durable before returning, as for a segment that held mail.</param>
    /// <returns>
    /// 0, or the errno of what failed: the segment must then be taken for readable still, and may be given in again. What was
    /// begun may have happened, so a file that was to be deleted is never a free one any more.
    /// </returns>
    public int Recycle(Segment segment, bool synced)
    {
        segment.IsLeaving = true;
        try
        {
            bool isWanted = !segment.IsDeleted && Count < options.FreeSegments && segment.IsWhole && segment.FileBytes == options.SegmentBytes;
            if (isWanted)
            {
                RenameToFree(segment);
            }
            else
            {
                Delete(segment);
            }

            if (synced)
            {
                disk.SyncDirectory(options.Directory);
            }
            else
            {
                _namesUnsynced |= isWanted;
            }

            if (isWanted)
            {
                Add(segment.FreePath!, segment.File, segment.Header.Size);
            }
            else
            {
                segment.Dispose();
            }

            return 0;
        }
        catch (DiskException failure)
        {
            return failure.Errno;
        }
    }

    /// <summary>Opens the next segment.</summary>
    /// <param name="proofs">How far the segments before it are synced.</param>
    /// <param name="errno">0, or why there is none.</param>
    /// <param name="announced">
    /// True when a header with these proofs may be found by a recovery: nothing may then be written behind what they say.
    /// </param>
    public Segment? Open(IReadOnlyList<SyncProof> proofs, out int errno, out bool announced)
    {
        errno = 0;
        announced = false;
        if (Count == 0 && (errno = Prepare()) != 0)
        {
            return null;
        }

        (string path, IDiskFile file, long size) = Take();
        byte[] salt = new byte[SegmentFormat.SaltSize];
        chance.Fill(salt);
        uint generation = NextGeneration++;
        var header = new SegmentHeader(generation, size, salt, proofs);
        string name = Path.Combine(options.Directory, NameOf(generation));
        try
        {
            if (_namesUnsynced)
            {
                // Else a power cut could leave the new header under the old segment's name.
                disk.SyncDirectory(options.Directory);
                _namesUnsynced = false;
            }

            byte[] page = new byte[SegmentFormat.Page];
            SegmentFormat.WriteHeader(page, header);
            file.Write(page, size - SegmentFormat.Page);
            file.Write(page, 0);
            file.Sync();
        }
        catch (DiskException failure)
        {
            Add(path, file, size);
            errno = failure.Errno;
            return null;
        }

        announced = true;
        try
        {
            disk.Rename(path, name);
            disk.SyncDirectory(options.Directory);
            return new Segment(header, file, name);
        }
        catch (DiskException failure)
        {
            // Which name it has is unknown, so the file is left to the next start: it is a segment without records.
            file.Dispose();
            TryDelete(path);
            TryDelete(name);
            errno = failure.Errno;
            return null;
        }
    }

    /// <summary>Closes the free files.</summary>
    public void Close()
    {
        lock (_gate)
        {
            while (_free.TryPop(out (string Path, IDiskFile File, long Size) free))
            {
                free.File.Dispose();
            }
        }
    }

    private void RenameToFree(Segment segment)
    {
        bool tried = segment.FreePath is not null;
        segment.FreePath ??= NewFreePath();
        try
        {
            disk.Rename(segment.Path, segment.FreePath);
        }
        catch (DiskException failure) when (tried && failure.Errno == DiskException.NoSuchFile)
        {
            // It was renamed the last time; what failed then was the sync, or only the answer.
        }
    }

    private void Delete(Segment segment)
    {
        segment.IsDeleted = true;
        disk.Delete(segment.Path);
        if (segment.FreePath is { } renamed)
        {
            // There was a place for it the last time.
            disk.Delete(renamed);
        }
    }

    private (string Path, IDiskFile File, long Size) Take()
    {
        lock (_gate)
        {
            return _free.Pop();
        }
    }

    private void Add(string path, IDiskFile file, long size)
    {
        lock (_gate)
        {
            _free.Push((path, file, size));
        }
    }

    private string NewFreePath() =>
        Path.Combine(options.Directory, "free-" + Interlocked.Increment(ref _freeNumber).ToString(CultureInfo.InvariantCulture));

    private void TryDelete(string path)
    {
        try
        {
            disk.Delete(path);
        }
        catch (DiskException)
        {
            // As large as a segment, with nothing in it.
            lock (_gate)
            {
                _leftOver.Add(path);
            }
        }
    }

    /// <summary>Deletes what could not be deleted before.</summary>
    private void DeleteLeftOver()
    {
        string[] paths;
        lock (_gate)
        {
            paths = [.. _leftOver];
            _leftOver.Clear();
        }

        foreach (string path in paths)
        {
            TryDelete(path);
        }
    }
}
