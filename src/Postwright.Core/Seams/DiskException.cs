namespace Postwright.Core.Seams;

/// <summary>A failed disk call. <see cref="Exception.HResult"/> is the errno.</summary>
public sealed class DiskException(string call, string path, int errno) : IOException($"{call} {path}: {Describe(errno)}", errno)
{
    /// <summary>ENOENT.</summary>
    public const int NoSuchFile = 2;

    /// <summary>EIO.</summary>
    public const int InputOutput = 5;

    /// <summary>EEXIST.</summary>
    public const int Exists = 17;

    /// <summary>ENOSPC.</summary>
    public const int NoSpace = 28;

    /// <summary>EDQUOT, which counts as no space.</summary>
    public const int QuotaExceeded = 122;

    /// <summary>The errno of the call.</summary>
    public int Errno => HResult;

    /// <summary>True for errnos that mean a full disk.</summary>
    public static bool IsNoSpace(int errno) => errno is NoSpace or QuotaExceeded;

    private static string Describe(int errno) => System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(errno);
}
