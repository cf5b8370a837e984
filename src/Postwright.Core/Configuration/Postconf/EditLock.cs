using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Tables;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// Keeps edits of one directory's configuration files apart, so that two at once lose neither's work: flock on the directory,
/// not on a file, since .NET takes a lock on each file that it reads, and a daemon that reads its settings must not fail.
/// </summary>
internal sealed class EditLock : IDisposable
{
    private readonly SafeFileHandle _handle;

    private EditLock(SafeFileHandle handle) => _handle = handle;

    /// <summary>Waits for the lock; null, and the reason in the system's words, if the directory cannot be opened.</summary>
    public static EditLock? Take(string directory, out string? trouble)
    {
        SafeFileHandle? handle = Libc.Open(directory, Libc.ReadOnly, 0, out int errno);
        while (handle is not null && Libc.Flock(handle, Libc.LockExclusive) != 0)
        {
            errno = Marshal.GetLastPInvokeError();
            if (errno != Libc.Interrupted)
            {
                handle.Dispose();
                handle = null;
            }
        }

        trouble = handle is null ? Libc.ErrorText(errno) : null;
        return handle is null ? null : new EditLock(handle);
    }

    /// <inheritdoc />
    public void Dispose() => _handle.Dispose();
}
