using System.Runtime.InteropServices;

namespace Postwright.Core.Records;

/// <summary>Who this process is: the caller (real ids) and what the program file lends it (effective ids).</summary>
internal static partial class ProcessIdentity
{
    /// <summary>The caller.</summary>
    internal static uint RealUser => GetUid();

    /// <summary>Whose rights count.</summary>
    internal static uint EffectiveUser => GetEUid();

    /// <summary>The group whose rights count.</summary>
    internal static uint EffectiveGroup => GetEGid();

    /// <summary>True in a set-gid or set-uid program, unless root itself runs it: what the caller says is then not to be trusted.</summary>
    internal static bool LendsPrivileges => EffectiveUser != 0 && (RealUser != EffectiveUser || GetGid() != EffectiveGroup);

    /// <summary>Gives root's rights up for good, in every thread. False if that is refused, or did not take effect.</summary>
    internal static unsafe bool Become(uint uid, uint gid)
    {
        if (SetGroups(1, &gid) != 0 || SetGid(gid) != 0 || SetUid(uid) != 0)
        {
            return false;
        }

        return RealUser == uid && EffectiveUser == uid && EffectiveGroup == gid;
    }

    [LibraryImport("libc", EntryPoint = "setgroups")]
    private static unsafe partial int SetGroups(nuint count, uint* groups);

    [LibraryImport("libc", EntryPoint = "setgid")]
    private static partial int SetGid(uint gid);

    [LibraryImport("libc", EntryPoint = "setuid")]
    private static partial int SetUid(uint uid);

    [LibraryImport("libc", EntryPoint = "getuid")]
    private static partial uint GetUid();

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEUid();

    [LibraryImport("libc", EntryPoint = "getgid")]
    private static partial uint GetGid();

    [LibraryImport("libc", EntryPoint = "getegid")]
    private static partial uint GetEGid();

    [LibraryImport("libc", EntryPoint = "umask")]
    internal static partial uint SetMask(uint mask);
}
