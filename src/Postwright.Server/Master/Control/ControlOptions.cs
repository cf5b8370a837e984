using Postwright.Core.Configuration;
using Postwright.Core.Control;

namespace Postwright.Server.Master.Control;

/// <summary>What the control socket reads from main.cf, and who may use it.</summary>
public sealed record ControlOptions
{
    /// <summary><c>queue_directory</c>.</summary>
    public required string QueueDirectory { get; init; }

    /// <summary>The user that the mail system runs as; it and root may do everything.</summary>
    public required uint OwnerUid { get; init; }

    /// <summary>The group of postqueue (<c>setgid_group</c>), which may list and flush; null where there is none.</summary>
    public uint? SetGidGroup { get; init; }

    /// <summary>Where the control socket is.</summary>
    public string SocketPath => Path.Combine(QueueDirectory, ControlProtocol.SocketName);

    /// <summary>pickup's wake-up socket, which postdrop knows.</summary>
    public string PickupSocketPath => Path.Combine(QueueDirectory, "public/pickup");

    /// <summary>Clients at once; a machine's administrators and scripts need few.</summary>
    public int ClientLimit { get; init; } = 100;

    /// <summary>A client that neither asks nor reads for so long is dropped.</summary>
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">main.cf.</param>
    /// <param name="ownerUid">The uid that the mail process runs as.</param>
    /// <param name="setGidGroup">The gid of <c>setgid_group</c>, or null if there is no such group.</param>
    public static ControlOptions From(MailConfiguration configuration, uint ownerUid, uint? setGidGroup) => new()
    {
        QueueDirectory = configuration.GetString("queue_directory"),
        OwnerUid = ownerUid,
        SetGidGroup = setGidGroup,
    };
}
