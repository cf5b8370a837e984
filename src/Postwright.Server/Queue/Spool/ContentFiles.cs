using System.Globalization;
using System.Runtime.InteropServices;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The files that hold large contents, one each, beside the segments. A content that is done with leaves its file to a later
/// one, under a new name: writing over blocks and pages that are there took a third of the time of making a file and
/// giving its space back. Never one that somebody may still read.
/// </summary>
internal sealed class ContentFiles(SpoolOptions options, IDisk disk, IChance chance)
{
    private const string Suffix = ".content";

    /// <summary>Files kept for reuse: with the next limit, as much space as one segment.</summary>
    private const int MostFree = 32;

    /// <summary>A larger file gives its space back.</summary>
    private const long LargestFree = 2 << 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, int> _readers = [];
    private readonly Dictionary<ulong, long> _sizes = [];
    private readonly Stack<(ulong Number, long Size)> _free = new();

    /// <summary>While space is short no file is kept for reuse; what is kept already, <see cref="DeleteFree"/> deletes.</summary>
    public volatile bool IsSpaceShort;

    /// <summary>True when files are kept for reuse.</summary>
    public bool HasFree
    {
        get
        {
            lock (_gate)
            {
                return _free.Count > 0;
            }
        }
    }

    /// <summary>The path of a content's file.</summary>
    public string PathOf(ulong number) => Path.Combine(options.Directory, number.ToString("x16", CultureInfo.InvariantCulture) + Suffix);

    /// <summary>Reads a content's number from its file's name.</summary>
    public static bool TryParse(string name, out ulong number)
    {
        number = 0;
        return name.Length == 16 + Suffix.Length && name.EndsWith(Suffix, StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>A file to write to, under a number that no other has; <see cref="Release"/> it once. It may hold older bytes.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public IDiskFile Create(out ulong number)
    {
        if (TryReuse(out number) is { } old)
        {
            return old;
        }

        while (true)
        {
            number = NewNumber();
            try
            {
                IDiskFile file = disk.Open(PathOf(number), DiskOpen.CreateNew);
                Use(number);
                return file;
            }
            catch (DiskException failure) when (failure.Errno == DiskException.Exists)
            {
                // Another 64 random bits.
            }
        }
    }

    /// <summary>The same, away from the caller's thread.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public async ValueTask<(IDiskFile File, ulong Number)> CreateAsync()
    {
        IDiskFile? file = null;
        ulong number = 0;
        await disk.OffloadAsync(() => file = Create(out number));
        return (file!, number);
    }

    /// <summary>Runs blocking work on a file away from the caller's thread.</summary>
    public Task OffloadAsync(Action work) => disk.OffloadAsync(work);

    /// <summary>Opens a content to read; <see cref="Release"/> it once.</summary>
    /// <exception cref="DiskException">The disk failed, or it is gone.</exception>
    public IDiskFile Open(ulong number)
    {
        // Under the lock, so that no file is renamed for another content between its opening and its being counted.
        lock (_gate)
        {
            IDiskFile file = disk.Open(PathOf(number), DiskOpen.Read);
            Use(number);
            return file;
        }
    }

    /// <summary>Closes a file that was opened or made here.</summary>
    public void Release(ulong number, IDiskFile file)
    {
        file.Dispose();
        lock (_gate)
        {
            if (--CollectionsMarshal.GetValueRefOrAddDefault(_readers, number, out _) <= 0)
            {
                _readers.Remove(number);
            }
        }
    }

    /// <summary>A content that never was a message's, or whose file must not be used again, is deleted; a failure only leaves a file that the next start deletes.</summary>
    public void Delete(ulong number, MailLog? log)
    {
        lock (_gate)
        {
            _sizes.Remove(number);
        }

        try
        {
            disk.Delete(PathOf(number));
        }
        catch (DiskException failure)
        {
            log?.Warning($"spool: {failure.Message}");
        }
    }

    /// <summary>The message is gone, durably: its file is kept for another, or deleted.</summary>
    /// <param name="number">The content.</param>
    /// <param name="length">Its bytes.</param>
    /// <param name="log">For what fails.</param>
    public void GiveBack(ulong number, long length, MailLog log)
    {
        lock (_gate)
        {
            long size = Math.Max(length, _sizes.GetValueOrDefault(number));
            if (size <= LargestFree && _free.Count < MostFree && !IsSpaceShort && !_readers.ContainsKey(number))
            {
                _sizes.Remove(number);
                _free.Push((number, size));
                return;
            }
        }

        Delete(number, log);
    }

    /// <summary>Deletes the files that are kept: space is short, or the end has come.</summary>
    public void DeleteFree(MailLog log)
    {
        while (true)
        {
            ulong number;
            lock (_gate)
            {
                if (!_free.TryPop(out (ulong Number, long Size) free))
                {
                    return;
                }

                number = free.Number;
            }

            Delete(number, log);
        }
    }

    private IDiskFile? TryReuse(out ulong number)
    {
        lock (_gate)
        {
            number = 0;
            if (!_free.TryPop(out (ulong Number, long Size) free))
            {
                return null;
            }

            number = NewNumber();
            try
            {
                disk.Rename(PathOf(free.Number), PathOf(number));
                IDiskFile file = disk.Open(PathOf(number), DiskOpen.ReadWrite);
                _sizes[number] = free.Size;
                Use(number);
                return file;
            }
            catch (DiskException)
            {
                // A new file instead. What became of this one is unknown, and the next start deletes it.
                return null;
            }
        }
    }

    // A rename would take the place of a file of that name: 64 random bits, and among those in use a look all the same.
    private ulong NewNumber()
    {
        Span<byte> bytes = stackalloc byte[8];
        lock (_gate)
        {
            while (true)
            {
                chance.Fill(bytes);
                ulong number = BitConverter.ToUInt64(bytes);
                if (number != 0 && !_readers.ContainsKey(number) && !Exists(number))
                {
                    return number;
                }
            }
        }
    }

    private bool Exists(ulong number)
    {
        try
        {
            disk.Open(PathOf(number), DiskOpen.Read).Dispose();
            return true;
        }
        catch (DiskException failure) when (failure.Errno == DiskException.NoSuchFile)
        {
            return false;
        }
    }

    private void Use(ulong number)
    {
        lock (_gate)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(_readers, number, out _)++;
        }
    }

    /// <summary>Makes a file and its name durable.</summary>
    /// <returns>0, or the errno.</returns>
    public async ValueTask<int> SyncAsync(IDiskFile file)
    {
        int errno = 0;
        await disk.OffloadAsync(() =>
        {
            try
            {
                file.Sync();
                disk.SyncDirectory(options.Directory);
            }
            catch (DiskException failure)
            {
                errno = failure.Errno;
            }
        });
        return errno;
    }

    /// <summary>The checksum of a file's first bytes, and how many there are; what follows them is of an older content.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static (uint Checksum, long Length) Measure(IDiskFile file, long length)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(128 << 10);
        try
        {
            uint register = ~0u;
            long offset = 0;
            while (offset < length && file.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, length - offset)), offset) is > 0 and var count)
            {
                register = Crc32C.Append(register, buffer.AsSpan(0, count));
                offset += count;
            }

            return (~register, offset);
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
