using System.Runtime.InteropServices;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>Owner, group and mode of a file, by statx, which has one layout on every machine. Links are followed.</summary>
public readonly unsafe partial record struct FileFacts(uint User, uint Group, UnixFileMode Mode)
{
    private const int WorkingDirectory = -100;
    private const uint ModeUserAndGroup = 0x2 | 0x8 | 0x10;

    /// <summary>Asks for them; false if there is no such file, or it cannot be seen.</summary>
    public static bool TryRead(string path, out FileFacts facts)
    {
        // struct statx: mask, blksize, attributes (8), nlink, uid at 20, gid at 24, mode at 28; 256 bytes in all.
        byte* buffer = stackalloc byte[256];
        bool found = StatX(WorkingDirectory, path, 0, ModeUserAndGroup, buffer) == 0;
        facts = found
            ? new FileFacts(*(uint*)(buffer + 20), *(uint*)(buffer + 24), (UnixFileMode)(*(ushort*)(buffer + 28) & 0xfff))
            : default;
        return found;
    }

    /// <summary>Gives a file an owner, a group and a mode; false, and why not.</summary>
    public static bool TrySet(string path, uint user, uint group, UnixFileMode mode, out string? error)
    {
        error = null;
        try
        {
            // The owner first: the kernel takes set-gid bits off when an owner changes.
            if (MasterCalls.ChangeOwner(path, user, group) == 0)
            {
                File.SetUnixFileMode(path, mode);
                return true;
            }

            error = $"change owner of {path}: {MasterCalls.LastError}";
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            error = $"change mode of {path}: {failure.Message}";
        }

        return false;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int directory, string path, int flags, uint mask, byte* buffer);
}
