using System.Runtime.InteropServices;
using Postwright.Core.Posix;

namespace Postwright.Core.Tables;

/// <summary>What tells one state of a file from the next: which file it is, its size and when it was last written.</summary>
internal readonly record struct FileStamp(ulong Device, ulong Inode, ulong Size, long Seconds, uint Nanoseconds, uint Mode, uint Uid, uint Gid)
{
    /// <summary>True for a regular file.</summary>
    public bool IsRegular => (Mode & 0xF000) == 0x8000;

    /// <summary>True for a directory.</summary>
    public bool IsDirectory => (Mode & 0xF000) == 0x4000;

    /// <summary>True for a pipe, with a name or without.</summary>
    public bool IsPipe => (Mode & 0xF000) == 0x1000;

    /// <summary>Asks for a path's state; false and errno when it cannot be told.</summary>
    public static bool TryGet(string path, out FileStamp stamp, out int errno)
    {
        errno = -Statx.Of(path, out Statx raw);
        stamp = From(raw);
        return errno == 0;
    }

    /// <summary>Asks for an open file's state.</summary>
    public static bool TryGet(SafeHandle file, out FileStamp stamp)
    {
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);
            int result = Statx.Of((int)file.DangerousGetHandle(), out Statx raw);
            stamp = From(raw);
            return result == 0;
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }

    private static FileStamp From(in Statx raw) =>
        new(raw.Device, raw.Inode, (ulong)raw.Size, raw.ModifiedSeconds, raw.ModifiedNanoseconds, raw.Mode, raw.Uid, raw.Gid);
}
