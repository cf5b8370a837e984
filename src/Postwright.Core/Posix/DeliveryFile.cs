using System.Runtime.InteropServices;
using System.Text;

namespace Postwright.Core.Posix;

/// <summary>What statx(2) says of a file.</summary>
/// <param name="Mode">Type and permission bits, as st_mode.</param>
/// <param name="Uid">Owner.</param>
/// <param name="Gid">Group.</param>
/// <param name="Links">Hard links.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Inode">Inode number.</param>
/// <param name="Device">Device number, as st_dev.</param>
/// <param name="ChangedAt">st_ctime, in seconds since 1970.</param>
public readonly record struct FileFacts(uint Mode, uint Uid, uint Gid, uint Links, long Size, ulong Inode, ulong Device, long ChangedAt)
{
    /// <summary>A regular file.</summary>
    public bool IsRegular => (Mode & 0xF000) == 0x8000;

    /// <summary>A directory.</summary>
    public bool IsDirectory => (Mode & 0xF000) == 0x4000;

    /// <summary>A symbolic link (only from an lstat).</summary>
    public bool IsSymbolicLink => (Mode & 0xF000) == 0xA000;
}

/// <summary>
/// The system calls that mailbox delivery needs, errno and all: identity is the calling thread's, nothing is asynchronous,
/// nothing is buffered. Every call returns a value of 0 or more, or minus errno. Descriptors are close-on-exec.
/// </summary>
public static partial class DeliveryFile
{
    /// <summary>Opens or creates; O_CLOEXEC is added.</summary>
    public static int Open(string path, int flags, uint mode = 0) => Result(open(path, flags | OpenFlags.CloseOnExec, mode));

    /// <summary>Closes; the result counts, since a network file system may fail here.</summary>
    public static int Close(int descriptor) => Result(close(descriptor));

    /// <summary>Writes all bytes, or says why not.</summary>
    public static unsafe int Write(int descriptor, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            nint written;
            fixed (byte* start = bytes)
            {
                written = write(descriptor, start, bytes.Length);
            }

            if (written < 0)
            {
                int error = Marshal.GetLastPInvokeError();
                if (error == Errno.Interrupted)
                {
                    continue;
                }

                return -error;
            }

            bytes = bytes[(int)written..];
        }

        return 0;
    }

    /// <summary>Reads what is there, 0 at the end.</summary>
    public static unsafe int Read(int descriptor, Span<byte> buffer)
    {
        while (true)
        {
            fixed (byte* start = buffer)
            {
                nint count = read(descriptor, start, buffer.Length);
                if (count >= 0)
                {
                    return (int)count;
                }
            }

            int error = Marshal.GetLastPInvokeError();
            if (error != Errno.Interrupted)
            {
                return -error;
            }
        }
    }

    /// <summary>fsync: data, size and, on journalling file systems, the names linked before it.</summary>
    public static int Sync(int descriptor) => Retry(() => fsync(descriptor));

    /// <summary>Starts and awaits the write-back of the data alone, so that its blocks are allocated before a name points to them.</summary>
    public static int WriteBack(int descriptor) => Result(sync_file_range(descriptor, 0, 0, 1 | 2 | 4));

    /// <summary>Cuts a file to a length.</summary>
    public static int Truncate(int descriptor, long length) => Retry(() => ftruncate(descriptor, length));

    /// <summary>Renames over whatever is there.</summary>
    public static int Rename(string from, string to) => Result(rename(from, to));

    /// <summary>Makes a hard link; never replaces.</summary>
    public static int Link(string from, string to) => Result(link(from, to));

    /// <summary>Gives an O_TMPFILE descriptor its name; never replaces.</summary>
    public static int LinkDescriptor(int descriptor, string to)
        => Result(linkat(CurrentDirectory, $"/proc/self/fd/{descriptor}", CurrentDirectory, to, 0x400));

    /// <summary>Removes a name.</summary>
    public static int Unlink(string path) => Result(unlink(path));

    /// <summary>Makes a directory.</summary>
    public static int MakeDirectory(string path, uint mode) => Result(mkdir(path, mode));

    /// <summary>Changes the owner of an open file; uint.MaxValue leaves a part alone.</summary>
    public static int ChangeOwner(int descriptor, uint uid, uint gid) => Result(fchown(descriptor, uid, gid));

    /// <summary>Changes the mode of an open file.</summary>
    public static int ChangeMode(int descriptor, uint mode) => Result(fchmod(descriptor, mode));

    /// <summary>Facts of a path, following links.</summary>
    public static int Stat(string path, out FileFacts facts) => Facts(Statx.Of(path, out Statx raw), raw, out facts);

    /// <summary>Facts of a path, not following a link in its last part.</summary>
    public static int LinkStat(string path, out FileFacts facts) => Facts(Statx.OfLink(path, out Statx raw), raw, out facts);

    /// <summary>Facts of an open file.</summary>
    public static int Stat(int descriptor, out FileFacts facts) => Facts(Statx.Of(descriptor, out Statx raw), raw, out facts);

    /// <summary>A whole small file; larger than <paramref name="limit"/> is EFBIG.</summary>
    public static int ReadAll(int descriptor, int limit, out string text)
    {
        var buffer = new byte[Math.Min(limit + 1, 16 * 1024)];
        int length = 0;
        while (true)
        {
            if (length == buffer.Length)
            {
                if (length > limit)
                {
                    text = "";
                    return -Errno.FileTooLarge;
                }

                Array.Resize(ref buffer, (int)Math.Min((long)limit + 1, buffer.Length * 2L));
            }

            int count = Read(descriptor, buffer.AsSpan(length));
            if (count <= 0)
            {
                text = count < 0 || length > limit ? "" : Encoding.UTF8.GetString(buffer, 0, length);
                return count < 0 ? count : length > limit ? -Errno.FileTooLarge : length;
            }

            length += count;
        }
    }

    /// <summary>The system's text for minus errno, as Postfix's <c>%m</c>.</summary>
    public static string ErrorText(int result) => Marshal.GetPInvokeErrorMessage(Math.Abs(result));

    internal static int Result(nint value) => value >= 0 ? (int)value : -Marshal.GetLastPInvokeError();

    private static int Retry(Func<int> call)
    {
        int result;
        do
        {
            result = Result(call());
        }
        while (result == -Errno.Interrupted);

        return result;
    }

    private static int Facts(int result, Statx raw, out FileFacts facts)
    {
        facts = result < 0 ? default : new FileFacts(raw.Mode, raw.Uid, raw.Gid, raw.Links, raw.Size, raw.Inode, raw.Device, raw.ChangedSeconds);
        return result;
    }

    private const int CurrentDirectory = -100;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint write(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint read(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sync_file_range(int descriptor, long offset, long count, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(int descriptor, long length);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rename(string from, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string from, string to);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int linkat(int fromDirectory, string from, int toDirectory, string to, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkdir(string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchown(int descriptor, uint uid, uint gid);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(int descriptor, uint mode);
}
