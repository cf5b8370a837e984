using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// Exclusive locks on mailboxes. fcntl locks are taken in their open-file form (F_OFD_SETLK): they conflict with other
/// programs' classic fcntl locks just the same, but also between two deliveries of this process, and closing another
/// descriptor of the file does not drop them. Both calls try once and never wait.
/// </summary>
public static partial class FileLocks
{
    private const int SetOpenFileLock = 37;
    private const short WriteLock = 1;

    /// <summary>fcntl: 0, or minus errno (EAGAIN or EACCES when somebody else has it).</summary>
    public static unsafe int TryFcntl(int descriptor)
    {
        var region = new Region { Type = WriteLock };
        return DeliveryFile.Result(fcntl(descriptor, SetOpenFileLock, &region));
    }

    /// <summary>flock: 0, or minus errno.</summary>
    public static int TryFlock(int descriptor) => DeliveryFile.Result(flock(descriptor, 2 | 4));

    [StructLayout(LayoutKind.Sequential)]
    private struct Region
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int ProcessId;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int fcntl(int descriptor, int command, Region* region);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(int descriptor, int operation);
}
