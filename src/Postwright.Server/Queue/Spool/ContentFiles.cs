using System.Globalization;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>The files that hold large contents, one each, beside the segments.</summary>
internal sealed class ContentFiles(SpoolOptions options, IDisk disk, IChance chance)
{
    private const string Suffix = ".content";

    /// <summary>The path of a content's file.</summary>
    public string PathOf(ulong number) => Path.Combine(options.Directory, number.ToString("x16", CultureInfo.InvariantCulture) + Suffix);

    /// <summary>Reads a content's number from its file's name.</summary>
    public static bool TryParse(string name, out ulong number)
    {
        number = 0;
        return name.Length == 16 + Suffix.Length && name.EndsWith(Suffix, StringComparison.Ordinal)
            && ulong.TryParse(name.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Makes a new file under a number that no other has.</summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    public IDiskFile Create(out ulong number)
    {
        Span<byte> bytes = stackalloc byte[8];
        while (true)
        {
            chance.Fill(bytes);
            number = BitConverter.ToUInt64(bytes);
            try
            {
                return disk.Open(PathOf(number), DiskOpen.CreateNew);
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

    /// <summary>Opens a content to read.</summary>
    /// <exception cref="DiskException">The disk failed, or it is gone.</exception>
    public IDiskFile Open(ulong number) => disk.Open(PathOf(number), DiskOpen.Read);

    /// <summary>Deletes a content; a failure only leaves a file that the next start deletes.</summary>
    public void Delete(ulong number, MailLog? log)
    {
        try
        {
            disk.Delete(PathOf(number));
        }
        catch (DiskException failure)
        {
            log?.Warning($"spool: {failure.Message}");
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

    /// <summary>The checksum of a whole file, and its length.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static (uint Checksum, long Length) Measure(IDiskFile file)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(128 << 10);
        try
        {
            uint register = ~0u;
            long offset = 0;
            while (file.Read(buffer, offset) is > 0 and var count)
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
