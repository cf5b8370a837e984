using System.Runtime.InteropServices;

namespace Postwright.Core.Tables;

/// <summary>What tells one state of a file from the next: which file it is, its size and when it was last written.</summary>
internal readonly record struct FileStamp(ulong Device, ulong Inode, ulong Size, long Seconds, uint Nanoseconds, uint Mode, uint Uid, uint Gid)
{
    /// <summary>True for a regular file.</summary>
    public bool IsRegular => (Mode & 0xF000) == 0x8000;

    /// <summary>Asks for a path's state; false and errno when it cannot be told.</summary>
    public static bool TryGet(string path, out FileStamp stamp, out int errno) => TryGet(Libc.CurrentDirectory, path, 0, out stamp, out errno);

    /// <summary>Asks for an open file's state.</summary>
    public static bool TryGet(SafeHandle file, out FileStamp stamp)
    {
        bool held = false;
        try
        {
            file.DangerousAddRef(ref held);
            return TryGet((int)file.DangerousGetHandle(), "", Libc.EmptyPath, out stamp, out _);
        }
        finally
        {
            if (held)
            {
                file.DangerousRelease();
            }
        }
    }

    private static bool TryGet(int folder, string path, int flags, out FileStamp stamp, out int errno)
    {
        Statx raw = default;
        if (Libc.Statx(folder, path, flags, Libc.BasicStats, ref raw) != 0)
        {
            errno = Marshal.GetLastPInvokeError();
            stamp = default;
            return false;
        }

        errno = 0;
        ulong device = ((ulong)raw.DevMajor << 32) | raw.DevMinor;
        stamp = new FileStamp(device, raw.Inode, raw.Size, raw.ModifiedSeconds, raw.ModifiedNanoseconds, raw.Mode, raw.Uid, raw.Gid);
        return true;
    }
}

/// <summary>struct statx, the same on every architecture (statx(2)).</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct Statx
{
    [FieldOffset(20)]
    public uint Uid;
    [FieldOffset(24)]
    public uint Gid;
    [FieldOffset(28)]
    public ushort Mode;
    [FieldOffset(32)]
    public ulong Inode;
    [FieldOffset(40)]
    public ulong Size;
    [FieldOffset(112)]
    public long ModifiedSeconds;
    [FieldOffset(120)]
    public uint ModifiedNanoseconds;
    [FieldOffset(136)]
    public uint DevMajor;
    [FieldOffset(140)]
    public uint DevMinor;
}
