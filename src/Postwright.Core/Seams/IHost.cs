namespace Postwright.Core.Seams;

/// <summary>A row of the passwd database.</summary>
public sealed record UserEntry(string Name, uint Uid, uint Gid, string Gecos, string Home, string Shell);

/// <summary>What became of a question to the user database; <see cref="Unavailable"/> must be reported as temporary.</summary>
public enum HostLookup
{
    /// <summary>There is such a user or group.</summary>
    Found,

    /// <summary>There is none.</summary>
    NotFound,

    /// <summary>The database could not be asked (NIS or LDAP down, out of descriptors).</summary>
    Unavailable,
}

/// <summary>Users, groups and names of this machine.</summary>
public interface IHost
{
    /// <summary>The machine's name as the kernel has it.</summary>
    string HostName { get; }

    /// <summary>
    /// True where a question may take long (users in LDAP, NIS, a domain): it is then asked on a thread that can be spared.
    /// </summary>
    bool MayTakeLong => false;

    /// <summary>Finds a user by login name.</summary>
    HostLookup FindUser(string name, out UserEntry? user);

    /// <summary>Finds a user by number.</summary>
    HostLookup FindUser(uint uid, out UserEntry? user);

    /// <summary>Finds a group's number by name.</summary>
    HostLookup FindGroup(string name, out uint gid);
}
