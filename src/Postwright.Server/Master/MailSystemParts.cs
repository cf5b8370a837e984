using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Deliver;

namespace Postwright.Server.Master;

/// <summary>The world that a <see cref="MailSystem"/> lives in: real in the mail process, simulated in tests.</summary>
public sealed record MailSystemParts
{
    /// <summary>The network.</summary>
    public required INetwork Network { get; init; }

    /// <summary>The resolver.</summary>
    public required IDnsResolver Dns { get; init; }

    /// <summary>The disk of the queue.</summary>
    public required IDisk Disk { get; init; }

    /// <summary>Makes the maildrop directory for one configuration: its path, and the log of who looks at it.</summary>
    public required Func<string, MailLog, IMaildrop> Maildrop { get; init; }

    /// <summary>Users and groups.</summary>
    public required IHost Host { get; init; }

    /// <summary>Chance.</summary>
    public required IChance Chance { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>Where log lines go.</summary>
    public required ILogSink LogSink { get; init; }

    /// <summary>
    /// Makes the delivery of local and virtual rows for one configuration: in this process, or a line to the agent process.
    /// </summary>
    public required Func<MailConfiguration, TableRegistry, MailLog, IDeliveryAgent> Agent { get; init; }

    /// <summary>
    /// Where the queue manager runs: one thread, so that its turns cost no change of threads of a pool. Null where
    /// everything runs in one place anyway.
    /// </summary>
    public SynchronizationContext? QueueContext { get; init; }

    /// <summary>The user that owns the queue: pickup takes its files for its own.</summary>
    public required uint OwnerUid { get; init; }

    /// <summary>The process's number, for the log lines of what runs once.</summary>
    public required int ProcessNumber { get; init; }
}
