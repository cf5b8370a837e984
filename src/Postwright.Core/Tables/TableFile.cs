using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;

namespace Postwright.Core.Tables;

// Files that an administrator names: tables, lists, values. What a path names can change between two looks at it, and can be a
// pipe that nobody writes to, or a device without an end. So a file is opened once, without waiting, looked at by its
// descriptor, and read from that; whoever reads counts. /dev/fd and /dev/stdin name what is open already, which a shell's
// <(command) gives to a tool: those are read to their end.

/// <summary>Opens files that an administrator names.</summary>
internal static class TableFile
{
    /// <summary>The largest file that is read as a whole, against a path that names something endless.</summary>
    public const long MaxSize = 256L << 20;

    private const int NonBlocking = 0x800;

    /// <summary>The file for reading; null and a reason, in the system's words, when it is none that can be read.</summary>
    public static Stream? Open(string path, out string? trouble)
    {
        bool isOpen = path.StartsWith("/dev/fd/", StringComparison.Ordinal) || path.StartsWith("/proc/self/fd/", StringComparison.Ordinal) || path == "/dev/stdin";
        SafeFileHandle? file = Libc.Open(path, Libc.ReadOnly | (isOpen ? 0 : NonBlocking), 0, out int errno);
        if (file is null)
        {
            trouble = Libc.ErrorText(errno);
            return null;
        }

        if (!FileStamp.TryGet(file, out FileStamp stamp))
        {
            trouble = "its state cannot be told";
        }
        else
        {
            trouble = stamp.IsDirectory ? "Is a directory" : stamp.IsPipe && !isOpen ? "Is a pipe" : null;
        }

        if (trouble is not null)
        {
            file.Dispose();
            return null;
        }

        return SystemFiles.Read(file);
    }
}
