using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// The trampoline between the agent and a user's command (<c>postwright spawn-as</c>): it runs as root in a process of its own,
/// gives every right away for good (groups, gid, uid, each real, effective and saved), checks that, and becomes the command. Input
/// and output are in place already. It starts nothing without having checked; whatever fails ends in 75 (try again later).
/// </summary>
public static unsafe partial class SpawnAs
{
    /// <summary>EX_TEMPFAIL.</summary>
    public const int TemporaryFailure = 75;

    // What programs that still use select() expect; mail programs raise it for themselves.
    private const ulong DescriptorLimit = 1024;
    private const int FileSizeResource = 1;
    private const int DescriptorResource = 7;
    private static readonly SearchValues<char> Plain =
        SearchValues.Create("1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t");

    /// <summary>The arguments for <see cref="Run"/>, after the program's own.</summary>
    /// <param name="service">Who asks, for messages: <c>local</c>.</param>
    /// <param name="uid">The user to become, never root.</param>
    /// <param name="gid">The group to become, the only one.</param>
    /// <param name="fileSizeLimit">Bytes of any file it writes; 0 for no limit.</param>
    /// <param name="directory">Where it runs.</param>
    /// <param name="shell">local_command_shell; empty to use a shell only where it is needed.</param>
    /// <param name="command">As it stands in the alias.</param>
    public static IReadOnlyList<string> Arguments(string service, uint uid, uint gid, long fileSizeLimit, string directory, string shell, string command)
        => ["spawn-as", service, Text(uid), Text(gid), Text(fileSizeLimit), directory, shell, command];

    /// <summary>Becomes the command; returns only when that failed.</summary>
    /// <param name="arguments">As <see cref="Arguments"/> made them, without the first.</param>
    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments.Count != 7
            || !uint.TryParse(arguments[1], NumberStyles.None, CultureInfo.InvariantCulture, out uint uid)
            || !uint.TryParse(arguments[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint gid)
            || !ulong.TryParse(arguments[3], NumberStyles.None, CultureInfo.InvariantCulture, out ulong fileSizeLimit))
        {
            return Fail("spawn-as", "usage: spawn-as service uid gid file-size-limit directory shell command");
        }

        string service = arguments[0];
        _ = umask(0x3F); // 0077
        Limit(FileSizeResource, fileSizeLimit == 0 ? ulong.MaxValue : fileSizeLimit);
        Limit(DescriptorResource, DescriptorLimit);
        if (!GiveRightsAway(uid, gid))
        {
            return Fail(service, $"cannot become user {uid} group {gid}");
        }

        if (chdir(arguments[4]) < 0)
        {
            return Fail(service, $"cannot change directory to \"{arguments[4]}\" for uid={uid} gid={gid}: {LastError()}");
        }

        CloseOnExec();

        // The runtime ignores these two in its own process; a command must not inherit that.
        _ = signal(13, 0);
        _ = signal(2, 0);
        return Execute(service, arguments[5], arguments[6]);
    }

    private static bool GiveRightsAway(uint uid, uint gid)
    {
        if (geteuid() == 0)
        {
            if (uid == 0 || gid == 0 || setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
            {
                return false;
            }
        }

        uint real, effective, saved, realGroup, effectiveGroup, savedGroup;
        return getresuid(&real, &effective, &saved) == 0 && getresgid(&realGroup, &effectiveGroup, &savedGroup) == 0
            && real == uid && effective == uid && saved == uid
            && realGroup == gid && effectiveGroup == gid && savedGroup == gid
            && setuid(0) < 0;
    }

    // Directly where nothing in it is special to a shell; a word that is no program may be one of the shell's own.
    private static int Execute(string service, string shell, string command)
    {
        if (shell.Length > 0)
        {
            string[] words = shell.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            _ = execvp(words[0], [.. words, command, null]);
            return Fail(service, $"execvp {words[0]}: {LastError()}");
        }

        if (!command.AsSpan().ContainsAnyExcept(Plain) && command.AsSpan().ContainsAnyExcept(" \t"))
        {
            string[] words = command.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            _ = execvp(words[0], [.. words, null]);
            if (Marshal.GetLastPInvokeError() != Errno.NoEntry || words[0].Contains('/'))
            {
                return Fail(service, $"execvp {words[0]}: {LastError()}");
            }
        }

        _ = execvp("/bin/sh", ["sh", "-c", command, null]);
        return Fail(service, $"execl /bin/sh: {LastError()}");
    }

    // Whatever the agent inherited itself (its listening socket, a log) is no business of a user's command.
    private static void CloseOnExec()
    {
        const int First = 3;
        const int SetDescriptorFlags = 2;
        if (syscall(436, First, unchecked((nint)uint.MaxValue), 4) != 0)
        {
            // Before Linux 5.9 there is no close_range.
            for (int descriptor = First; descriptor < 65536; descriptor++)
            {
                _ = fcntl(descriptor, SetDescriptorFlags, 1);
            }
        }
    }

    private static void Limit(int resource, ulong soft)
    {
        var limit = default(ResourceLimit);
        if (getrlimit(resource, &limit) == 0)
        {
            limit.Soft = Math.Min(soft, limit.Hard);
            _ = setrlimit(resource, &limit);
        }
    }

    private static int Fail(string service, string text)
    {
        Console.Error.WriteLine($"{service}: fatal: {text}");
        return TemporaryFailure;
    }

    private static string LastError() => Marshal.GetLastPInvokeErrorMessage();

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    [StructLayout(LayoutKind.Sequential)]
    private struct ResourceLimit
    {
        public ulong Soft;
        public ulong Hard;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setgroups(nint count, uint* groups);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresgid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresuid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getresuid(uint* real, uint* effective, uint* saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getresgid(uint* real, uint* effective, uint* saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setuid(uint uid);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial uint umask(uint mask);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chdir(string path);

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint first, nint last, nint flags);

    [LibraryImport("libc")]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc")]
    private static partial nint signal(int number, nint handler);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int execvp(string file, string?[] arguments);
}
