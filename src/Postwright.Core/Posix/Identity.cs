using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// Whose rights the calling thread has on the file system. Linux keeps credentials per thread; libc's setuid and setgroups
/// change every thread, so the raw system calls are used, and only fsuid, fsgid and the group list, which cannot be used to
/// signal or trace this process.
/// <para>Contract: call only on a thread of one's own, make only synchronous calls until <see cref="Restore"/>; both read the
/// identity back. False means that the thread has an identity nobody asked for: end it, do nothing else with it.</para>
/// </summary>
public static partial class Identity
{
    private static readonly bool IsArm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    private static readonly nint SetGroupsCall = IsArm ? 159 : 116;
    private static readonly nint GetGroupsCall = IsArm ? 158 : 115;

    /// <summary>The process's effective user.</summary>
    public static uint EffectiveUser { get; } = geteuid();

    /// <summary>The process's effective group.</summary>
    public static uint EffectiveGroup { get; } = getegid();

    /// <summary>True when this process may take on any identity.</summary>
    public static bool CanChange => EffectiveUser == 0;

    /// <summary>Takes on a user and a group, with that group as the only one (Postfix enables no secondary groups either).</summary>
    /// <returns>True when the thread reads back as exactly that.</returns>
    public static bool Assume(uint uid, uint gid)
    {
        if (!CanChange)
        {
            return uid == EffectiveUser;
        }

        // Back to root's file-system rights first: setfsgid and setgroups need the capabilities that setfsuid takes away.
        _ = setfsuid(0);
        return SetGroups(gid) && Change(uid, gid) && Is(uid, gid);
    }

    /// <summary>Back to the process's own identity.</summary>
    public static bool Restore() => !CanChange || Assume(EffectiveUser, EffectiveGroup);

    /// <summary>Reads the calling thread's identity back.</summary>
    public static unsafe bool Is(uint uid, uint gid)
    {
        // An invalid argument changes nothing and returns the present value.
        if ((uint)setfsuid(uint.MaxValue) != uid || (uint)setfsgid(uint.MaxValue) != gid)
        {
            return false;
        }

        uint* groups = stackalloc uint[2];
        return syscall(GetGroupsCall, 2, (nint)groups) == 1 && groups[0] == gid;
    }

    private static bool Change(uint uid, uint gid)
    {
        _ = setfsgid(gid);
        _ = setfsuid(uid);
        return true;
    }

    private static unsafe bool SetGroups(uint gid) => syscall(SetGroupsCall, 1, (nint)(&gid)) == 0;

    [LibraryImport("libc")]
    private static partial int setfsuid(uint uid);

    [LibraryImport("libc")]
    private static partial int setfsgid(uint gid);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial uint getegid();

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint first, nint second);
}
