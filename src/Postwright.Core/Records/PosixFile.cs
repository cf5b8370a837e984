using System.ComponentModel;
using System.Runtime.InteropServices;
using Postwright.Core.Posix;

namespace Postwright.Core.Records;

/// <summary>What the file system says of a file.</summary>
/// <param name="Mode">Type and permission bits, as st_mode.</param>
/// <param name="Links">Hard links.</param>
/// <param name="Uid">Owner.</param>
/// <param name="Gid">Group.</param>
/// <param name="Inode">Number in its file system.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ModifiedSeconds">Last change, seconds since 1970.</param>
public readonly record struct FileStatus(ushort Mode, uint Links, uint Uid, uint Gid, ulong Inode, long Size, long ModifiedSeconds)
{
    /// <summary>An ordinary file, no directory, link, pipe or device.</summary>
    public bool IsRegular => (Mode & 0xF000) == 0x8000;

    /// <summary>The owner may execute it: the sign of a finished queue file.</summary>
    public bool IsExecutable => (Mode & 0x40) != 0;

    /// <summary>Others may read it.</summary>
    public bool IsReadableByOthers => (Mode & 0x4) != 0;
}

/// <summary>
/// The file calls of the maildrop directory, whose flags, modes and error numbers matter and which .NET's own hide: no
/// symbolic link followed, no blocking open, modes as given, and a sync whose failure is told.
/// </summary>
internal static partial class PosixFile
{
    internal const int NoEntry = 2;
    internal const int PermissionDenied = 13;
    internal const int Exists = 17;
    internal const int FileTooBig = 27;
    internal const int NoSpace = 28;

    /// <summary>open(2): for reading, not through a link, not waiting for a pipe's other end. Negative: minus the error number.</summary>
    internal static int OpenForRead(string path) => Checked(Open(path, 0x20000 | 0x800 | 0x80000, 0));

    /// <summary>open(2): a new file for reading and writing. Negative: minus the error number.</summary>
    internal static int CreateNew(string path, uint mode) => Checked(Open(path, 0x2 | 0x40 | 0x80 | 0x80000, mode));

    internal static int TryStatus(int descriptor, out FileStatus status) => Status(Statx.Of(descriptor, out Statx raw), raw, out status);

    /// <summary>The file itself, not what it links to.</summary>
    internal static int TryStatus(string path, out FileStatus status) => Status(Statx.OfLink(path, out Statx raw), raw, out status);

    internal static int Sync(int descriptor) => Checked(FSync(descriptor));

    internal static int ChangeMode(int descriptor, uint mode) => Checked(FChMod(descriptor, mode));

    internal static int Rename(string from, string to) => Checked(RenameFile(from, to));

    internal static int Remove(string path) => Checked(Unlink(path));

    /// <summary>The system's words for an error number.</summary>
    internal static string Describe(int error) => new Win32Exception(Math.Abs(error)).Message;

    private static int Checked(int result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;

    private static int Status(int result, Statx raw, out FileStatus status)
    {
        status = new FileStatus(raw.Mode, raw.Links, raw.Uid, raw.Gid, raw.Inode, raw.Size, raw.ModifiedSeconds);
        return result;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    private static partial int FChMod(int descriptor, uint mode);

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameFile(string from, string to);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unlink(string path);
}
