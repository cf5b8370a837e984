using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Tables;

/// <summary>The few libc calls that tables need beyond .NET's own.</summary>
internal static partial class Libc
{
    public const int ReadOnly = 0;
    public const int ReadWrite = 2;
    public const int CreateNew = 0xc0;
    public const int CloseOnExec = 0x80000;
    public const int LockShared = 1;
    public const int LockExclusive = 2;
    public const int LockNonBlocking = 4;
    public const int Unlock = 8;
    public const int WouldBlock = 11;
    public const int Interrupted = 4;
    public const int NoSuchFile = 2;
    public const int IsADirectory = 21;

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Flock(SafeHandle file, int operation);

    /// <summary>
    /// Waits for the exclusive lock of the whole file that fcntl(2) knows, held by the open file and not by the process: a
    /// library that opens and closes the same file would end the latter.
    /// </summary>
    public static unsafe int LockRecord(SafeHandle file)
    {
        const int SetLockAndWait = 38;
        var request = new RecordLock { Type = 1 };
        return Fcntl(file, SetLockAndWait, &request);
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static unsafe partial int Fcntl(SafeHandle file, int command, RecordLock* request);

    /// <summary>struct flock: a write lock from the start to the end, when all else is zero.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct RecordLock
    {
        public short Type;
        public short From;
        public long Start;
        public long Length;
        public int Process;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags, uint mode);

    /// <summary>Opens a file without the flock that .NET's own opening takes or fails on; null and errno when it cannot.</summary>
    public static SafeFileHandle? Open(string path, int flags, uint mode, out int errno)
    {
        int descriptor = OpenFile(path, flags | CloseOnExec, mode);
        errno = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>errno in words, as strerror has it.</summary>
    public static string ErrorText(int errno) => Marshal.GetPInvokeErrorMessage(errno);
}
