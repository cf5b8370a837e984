using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.World;

/// <summary>A machine with root and the mail system's own user.</summary>
internal sealed class SimHost : IHost
{
    public const uint OwnerUid = 100;

    public string HostName => "mail.sim.example";

    public HostLookup FindUser(string name, out UserEntry? user)
    {
        user = name == "postfix" ? new UserEntry("postfix", OwnerUid, OwnerUid, "", "/var/spool/postfix", "/bin/false") : null;
        return user is null ? HostLookup.NotFound : HostLookup.Found;
    }

    public HostLookup FindUser(uint uid, out UserEntry? user) => FindUser(uid == OwnerUid ? "postfix" : "", out user);

    public HostLookup FindGroup(string name, out uint gid)
    {
        gid = 101;
        return name == "postdrop" ? HostLookup.Found : HostLookup.NotFound;
    }
}

/// <summary>Chance of one process.</summary>
internal sealed class SimChance(Rng chance) : IChance
{
    public void Fill(Span<byte> bytes) => chance.Fill(bytes);

    public int Next(int limit) => chance.Next(limit);
}
