namespace Postwright.Core.Posix;

/// <summary>The error numbers that delivery tells apart (the same on x86-64 and arm64 Linux).</summary>
public static class Errno
{
    /// <summary>ENOENT.</summary>
    public const int NoEntry = 2;

    /// <summary>ESRCH.</summary>
    public const int NoProcess = 3;

    /// <summary>EINTR.</summary>
    public const int Interrupted = 4;

    /// <summary>EIO.</summary>
    public const int InputOutput = 5;

    /// <summary>EBADF.</summary>
    public const int BadDescriptor = 9;

    /// <summary>EAGAIN.</summary>
    public const int TryAgain = 11;

    /// <summary>ENOMEM.</summary>
    public const int NoMemory = 12;

    /// <summary>EACCES.</summary>
    public const int AccessDenied = 13;

    /// <summary>EEXIST.</summary>
    public const int Exists = 17;

    /// <summary>EISDIR.</summary>
    public const int IsDirectory = 21;

    /// <summary>EINVAL.</summary>
    public const int Invalid = 22;

    /// <summary>ENFILE.</summary>
    public const int TooManyFiles = 23;

    /// <summary>EMFILE.</summary>
    public const int TooManyDescriptors = 24;

    /// <summary>EFBIG.</summary>
    public const int FileTooLarge = 27;

    /// <summary>ENOSPC.</summary>
    public const int NoSpace = 28;

    /// <summary>EROFS.</summary>
    public const int ReadOnlyFileSystem = 30;

    /// <summary>EPIPE.</summary>
    public const int BrokenPipe = 32;

    /// <summary>ERANGE.</summary>
    public const int Range = 34;

    /// <summary>ENOSYS.</summary>
    public const int NotImplemented = 38;

    /// <summary>ELOOP: too many symbolic links, or one where none may be.</summary>
    public const int Loop = 40;

    /// <summary>EOPNOTSUPP.</summary>
    public const int NotSupported = 95;

    /// <summary>ETIMEDOUT.</summary>
    public const int TimedOut = 110;

    /// <summary>EINPROGRESS.</summary>
    public const int InProgress = 115;

    /// <summary>ESTALE.</summary>
    public const int Stale = 116;

    /// <summary>EDQUOT.</summary>
    public const int QuotaExceeded = 122;
}
