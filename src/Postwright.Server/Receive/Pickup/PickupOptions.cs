using Postwright.Core.Configuration;

namespace Postwright.Server.Receive.Pickup;

/// <summary>What pickup reads from main.cf.</summary>
public sealed record PickupOptions
{
    /// <summary><c>myhostname</c>, for Received:.</summary>
    public required string MyHostName { get; init; }

    /// <summary><c>mail_name</c>, for Received:.</summary>
    public required string MailName { get; init; }

    /// <summary>The uid of <c>mail_owner</c>: a file of its own that others cannot read is a requeued message.</summary>
    public required uint OwnerUid { get; init; }

    /// <summary><c>line_length_limit</c>: the longest record, in bytes.</summary>
    public int LineLengthLimit { get; init; } = 2048;

    /// <summary><c>cleanup_replace_stray_cr_lf</c>: a CR or LF inside a line becomes a blank, so that no line can hide another.</summary>
    public bool ReplaceStrayCrLf { get; init; } = true;

    /// <summary>How long to wait for a wake-up before looking anyway: pickup's wakeup time in master.cf.</summary>
    public TimeSpan WakeUp { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">main.cf.</param>
    /// <param name="ownerUid">The uid of <c>mail_owner</c> (the process's own where everything runs as one user).</param>
    public static PickupOptions From(MailConfiguration configuration, uint ownerUid) => new()
    {
        MyHostName = configuration.GetString("myhostname"),
        MailName = configuration.GetString("mail_name"),
        OwnerUid = ownerUid,
        LineLengthLimit = configuration.GetInt("line_length_limit"),
        ReplaceStrayCrLf = configuration.GetBool("cleanup_replace_stray_cr_lf"),
    };
}
