using Postwright.Core.Posix;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>Owner, group and mode of a file, by statx. Links are followed.</summary>
public readonly record struct FileFacts(uint User, uint Group, UnixFileMode Mode)
{
    /// <summary>Asks for them; false if there is no such file, or it cannot be seen.</summary>
    public static bool TryRead(string path, out FileFacts facts)
    {
        bool found = Statx.Of(path, out Statx raw) == 0;
        facts = found ? new FileFacts(raw.Uid, raw.Gid, (UnixFileMode)(raw.Mode & 0xfff)) : default;
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
}
