using System.Buffers;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Copies damaged bytes to a file for a human.</summary>
internal static class DamageKeeper
{
    private const int Chunk = 256 << 10;

    /// <summary>Keeps a range of a file; one that was kept before stays as it is. False if the disk refused.</summary>
    public static bool Keep(IDisk disk, string directory, string path, IDiskFile source, long offset, long length)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            disk.CreateDirectory(directory);
            using IDiskFile target = disk.Open(path, DiskOpen.CreateNew);
            for (long done = 0; done < length;)
            {
                int count = source.Read(buffer.AsSpan(0, (int)Math.Min(Chunk, length - done)), offset + done);
                if (count == 0)
                {
                    break;
                }

                target.Write(buffer.AsSpan(0, count), done);
                done += count;
            }

            target.Sync();
            disk.SyncDirectory(directory);
            return true;
        }
        catch (DiskException failure)
        {
            return failure.Errno == DiskException.Exists;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
