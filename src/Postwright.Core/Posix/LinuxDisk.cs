using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

#pragma warning disable RS0030 // The real disk.

/// <summary>
/// The real disk. Names and syncs go to the system directly, since .NET's own file classes were seen to report no failed
/// fsync. The only threads of the queue live here: one that commits batches, up to sixteen for slow work such as preparing segments and syncing large contents (a disk takes so many syncs at once; with four it was idle half of the time).
/// </summary>
public sealed class LinuxDisk : IDisk
{
    private readonly DiskThreads _workers = new("disk work", 16);

    /// <inheritdoc />
    public unsafe IDiskFile Open(string path, DiskOpen mode)
    {
        int flags = DiskCalls.OpenCloseOnExec | mode switch
        {
            DiskOpen.Read => DiskCalls.OpenReadOnly,
            DiskOpen.ReadWrite => DiskCalls.OpenReadWrite,
            _ => DiskCalls.OpenReadWrite | DiskCalls.OpenCreate | DiskCalls.OpenExclusive,
        };
        SafeFileHandle handle = OpenHandle(path, flags);
        if (mode == DiskOpen.CreateNew && DiskCalls.EffectiveUser() == 0 && TryGetOwner(Path.GetDirectoryName(path)!, out uint uid, out uint gid))
        {
            // A tool run by root while the system is down must not leave files that the mail process cannot open.
            if (DiskCalls.ChangeOwner(handle, uid, gid) != 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                handle.Dispose();
                throw new DiskException("chown", path, errno);
            }
        }

        return new LinuxFile(handle, path);
    }

    /// <inheritdoc />
    public void Rename(string from, string to) => Check(DiskCalls.Rename(from, to), "rename", from);

    /// <inheritdoc />
    public void Delete(string path)
    {
        if (DiskCalls.Unlink(path) != 0 && Marshal.GetLastPInvokeError() != DiskException.NoSuchFile)
        {
            throw new DiskException("unlink", path, Marshal.GetLastPInvokeError());
        }
    }

    /// <inheritdoc />
    public void CreateDirectory(string path)
    {
        if (DiskCalls.MakeDirectory(path, 0x1c0) == 0)
        {
            if (DiskCalls.EffectiveUser() == 0 && TryGetOwner(Path.GetDirectoryName(path)!, out uint uid, out uint gid))
            {
                Check(DiskCalls.ChangeOwner(path, uid, gid), "chown", path);
            }
        }
        else if (Marshal.GetLastPInvokeError() != DiskException.Exists)
        {
            throw new DiskException("mkdir", path, Marshal.GetLastPInvokeError());
        }
    }

    /// <inheritdoc />
    public void SyncDirectory(string path)
    {
        using SafeFileHandle directory = OpenHandle(path, DiskCalls.OpenReadOnly | DiskCalls.OpenCloseOnExec);
        while (DiskCalls.Sync(directory) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != DiskCalls.Interrupted)
            {
                throw new DiskException("fsync", path, errno);
            }
        }
    }

    /// <inheritdoc />
    public IReadOnlyList<string> List(string directory)
    {
        try
        {
            return [.. Directory.EnumerateFiles(directory).Select(static path => Path.GetFileName(path))];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (UnauthorizedAccessException)
        {
            throw new DiskException("opendir", directory, DiskCalls.AccessDenied);
        }
    }

    /// <inheritdoc />
    public unsafe long FreeBytes(string directory)
    {
        // struct statvfs: f_frsize is the second word, f_bavail the fifth.
        ulong* buffer = stackalloc ulong[32];
        Check(DiskCalls.FileSystem(directory, buffer), "statvfs", directory);
        return (long)UInt128.Min((UInt128)long.MaxValue, (UInt128)buffer[1] * buffer[4]);
    }

    /// <inheritdoc />
    public Task OffloadAsync(Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _workers.Queue(() =>
        {
            try
            {
                work();
                done.SetResult();
            }
            catch (Exception failure)
            {
                done.SetException(failure);
            }
        });
        return done.Task;
    }

    private static SafeFileHandle OpenHandle(string path, int flags)
    {
        while (true)
        {
            int descriptor = DiskCalls.Open(path, flags, 0x180);
            if (descriptor >= 0)
            {
                return new SafeFileHandle(descriptor, ownsHandle: true);
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != DiskCalls.Interrupted)
            {
                throw new DiskException("open", path, errno);
            }
        }
    }

    private static bool TryGetOwner(string path, out uint uid, out uint gid)
    {
        bool found = Statx.Of(path, out Statx facts) == 0;
        (uid, gid) = (facts.Uid, facts.Gid);
        return found;
    }

    private static void Check(int result, string call, string path)
    {
        if (result != 0)
        {
            throw new DiskException(call, path, Marshal.GetLastPInvokeError());
        }
    }
}
