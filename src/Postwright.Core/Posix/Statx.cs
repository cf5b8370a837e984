using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// statx(2): its buffer has one layout on every architecture, which struct stat has not. Calls give 0, or minus errno; then
/// the buffer is empty.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal partial struct Statx
{
    [FieldOffset(16)]
    public uint Links;
    [FieldOffset(20)]
    public uint Uid;
    [FieldOffset(24)]
    public uint Gid;
    [FieldOffset(28)]
    public ushort Mode;
    [FieldOffset(32)]
    public ulong Inode;
    [FieldOffset(40)]
    public long Size;
    [FieldOffset(96)]
    public long ChangedSeconds;
    [FieldOffset(112)]
    public long ModifiedSeconds;
    [FieldOffset(120)]
    public uint ModifiedNanoseconds;
    [FieldOffset(136)]
    private readonly uint _deviceMajor;
    [FieldOffset(140)]
    private readonly uint _deviceMinor;

    private const int CurrentDirectory = -100;
    private const int NoFollow = 0x100;
    private const int EmptyPath = 0x1000;
    private const uint BasicStats = 0x7ff;

    /// <summary>As st_dev has it.</summary>
    public readonly ulong Device => ((ulong)(_deviceMajor & 0xFFFFF000) << 32) | ((ulong)(_deviceMajor & 0xFFF) << 8)
        | ((ulong)(_deviceMinor & 0xFFFFFF00) << 12) | (_deviceMinor & 0xFFu);

    /// <summary>Asks about a path, following links.</summary>
    public static int Of(string path, out Statx facts) => Ask(CurrentDirectory, path, 0, out facts);

    /// <summary>Asks about a path, not following a link in its last part.</summary>
    public static int OfLink(string path, out Statx facts) => Ask(CurrentDirectory, path, NoFollow, out facts);

    /// <summary>Asks about an open file.</summary>
    public static int Of(int descriptor, out Statx facts) => Ask(descriptor, "", EmptyPath, out facts);

    private static int Ask(int directory, string path, int flags, out Statx facts)
    {
        facts = default;
        return statx(directory, path, flags, BasicStats, ref facts) == 0 ? 0 : -Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, ref Statx facts);
}
