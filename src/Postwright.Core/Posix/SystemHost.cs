using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>
/// This machine's users and groups, by getpwnam_r and its like (so that LDAP and NIS count). Answers are kept for a second,
/// found or not: deliveries ask for the same few users over and over. "Unavailable" is never kept.
/// </summary>
public sealed unsafe partial class SystemHost(TimeProvider time) : IHost
{
    // More distinct names than this within a second: start over rather than grow.
    private const int CacheLimit = 4096;
    private const int LargestRow = 1 << 20;
    private static readonly TimeSpan CacheAge = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Answer> _users = new(StringComparer.Ordinal);

    /// <inheritdoc />
    public string HostName { get; } = System.Net.Dns.GetHostName();

    /// <inheritdoc />
    public bool MayTakeLong { get; } = NamesSlowSources("/etc/nsswitch.conf");

    /// <inheritdoc />
    public HostLookup FindUser(string name, out UserEntry? user)
        => Cached("n" + name, out user, (out UserEntry? found) => Ask((row, buffer, size, result) => getpwnam_r(name, row, buffer, size, result), out found));

    /// <inheritdoc />
    public HostLookup FindUser(uint uid, out UserEntry? user)
        => Cached("u" + uid, out user, (out UserEntry? found) => Ask((row, buffer, size, result) => getpwuid_r(uid, row, buffer, size, result), out found));

    /// <inheritdoc />
    public HostLookup FindGroup(string name, out uint gid)
    {
        gid = 0;
        for (int size = 1024; size <= LargestRow; size *= 4)
        {
            GroupRow row;
            nint result;
            nint buffer = Marshal.AllocHGlobal(size);
            try
            {
                int error = getgrnam_r(name, &row, (byte*)buffer, size, &result);
                if (error == Errno.Range)
                {
                    continue;
                }

                gid = result == 0 ? 0 : row.Gid;
                return Outcome(error, result);
            }
            finally
            {
                Marshal.FreeHGlobal(buffer);
            }
        }

        return HostLookup.Unavailable;
    }

    /// <summary>True if a file in the form of nsswitch.conf(5) asks anything but local files for users or groups.</summary>
    internal static bool NamesSlowSources(string path)
    {
        if (!SystemFiles.Exists(path))
        {
            return false;
        }

        foreach (string line in SystemFiles.ReadLines(path))
        {
            string[] words = line.Split('#')[0].Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words is ["passwd:" or "group:", ..] && words.Skip(1).Any(static word => !word.StartsWith('[') && word is not ("files" or "compat" or "db" or "systemd")))
            {
                return true;
            }
        }

        return false;
    }

    private delegate HostLookup Question(out UserEntry? user);

    private delegate int Call(UserRow* row, byte* buffer, nint size, nint* result);

    private readonly record struct Answer(long At, HostLookup Lookup, UserEntry? User);

    private HostLookup Cached(string key, out UserEntry? user, Question ask)
    {
        long now = time.GetTimestamp();
        if (_users.TryGetValue(key, out Answer kept) && time.GetElapsedTime(kept.At, now) < CacheAge)
        {
            user = kept.User;
            return kept.Lookup;
        }

        HostLookup lookup = ask(out user);
        if (lookup != HostLookup.Unavailable)
        {
            if (_users.Count >= CacheLimit)
            {
                _users.Clear();
            }

            _users[key] = new Answer(now, lookup, user);
        }

        return lookup;
    }

    private static HostLookup Ask(Call call, out UserEntry? user)
    {
        user = null;
        for (int size = 1024; size <= LargestRow; size *= 4)
        {
            UserRow row;
            nint result;
            nint buffer = Marshal.AllocHGlobal(size);
            try
            {
                int error = call(&row, (byte*)buffer, size, &result);
                if (error == Errno.Range)
                {
                    continue;
                }

                if (result != 0)
                {
                    user = new UserEntry(Text(row.Name), row.Uid, row.Gid, Text(row.Gecos), Text(row.Home), Text(row.Shell));
                }

                return Outcome(error, result);
            }
            finally
            {
                Marshal.FreeHGlobal(buffer);
            }
        }

        return HostLookup.Unavailable;
    }

    private static HostLookup Outcome(int error, nint result) => (error, result) switch
    {
        (_, not 0) => HostLookup.Found,
        (0 or Errno.NoEntry or Errno.NoProcess, _) => HostLookup.NotFound,
        _ => HostLookup.Unavailable,
    };

    private static string Text(nint text) => Marshal.PtrToStringUTF8(text) ?? "";

    // glibc's struct passwd and struct group on 64-bit Linux.
    [StructLayout(LayoutKind.Sequential)]
    private struct UserRow
    {
        public nint Name;
        public nint Password;
        public uint Uid;
        public uint Gid;
        public nint Gecos;
        public nint Home;
        public nint Shell;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct GroupRow
    {
        public nint Name;
        public nint Password;
        public uint Gid;
        public nint Members;
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int getpwnam_r(string name, UserRow* row, byte* buffer, nint size, nint* result);

    [LibraryImport("libc")]
    private static partial int getpwuid_r(uint uid, UserRow* row, byte* buffer, nint size, nint* result);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int getgrnam_r(string name, GroupRow* row, byte* buffer, nint size, nint* result);
}
