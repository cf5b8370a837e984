using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Server.Deliver;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Queue;

/// <summary>qmgr(8)'s settings, read once.</summary>
public sealed record QueueManagerOptions
{
    /// <summary>The user that the queue belongs to, who hands a requeued message in again.</summary>
    public uint OwnerUid { get; init; }

    /// <summary>qmgr_message_active_limit: messages in memory at a time.</summary>
    public int ActiveLimit { get; init; } = 20_000;

    /// <summary>qmgr_message_recipient_limit: recipients in memory at a time.</summary>
    public int RecipientLimit { get; init; } = 20_000;

    /// <summary>The shortest pause before another attempt.</summary>
    public TimeSpan MinimalBackoff { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>The longest.</summary>
    public TimeSpan MaximalBackoff { get; init; } = TimeSpan.FromSeconds(4000);

    /// <summary>How often deferred messages that are due are looked for.</summary>
    public TimeSpan QueueRunDelay { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>After this age a message that cannot be delivered is returned.</summary>
    public TimeSpan MaximalLifetime { get; init; } = TimeSpan.FromDays(5);

    /// <summary>The same for notices (null sender).</summary>
    public TimeSpan BounceLifetime { get; init; } = TimeSpan.FromDays(5);

    /// <summary>How long an unknown transport is not asked for again.</summary>
    public TimeSpan TransportRetry { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>delay_warning_time: ages at which the sender is warned, ascending; empty for never.</summary>
    public IReadOnlyList<TimeSpan> DelayWarnings { get; init; } = [];

    /// <summary>Transports whose mail waits for <c>postqueue -f</c>.</summary>
    public IReadOnlySet<string> DeferTransports { get; init; } = new HashSet<string>();

    /// <summary>soft_bounce: whatever would be returned is deferred.</summary>
    public bool SoftBounce { get; init; }

    /// <summary>Digits after the point in log lines.</summary>
    public int DelayDecimals { get; init; } = 2;

    /// <summary>flush_deferred_on_start: a start tries every deferred message at once (not in Postfix).</summary>
    public bool FlushOnStart { get; init; }

    /// <summary>The local part of our own notices' sender.</summary>
    public string DoubleBounceSender { get; init; } = "double-bounce";

    /// <summary>recipient_delimiter.</summary>
    public string RecipientDelimiter { get; init; } = "";

    /// <summary>allow_min_user: addresses may begin with <c>-</c>.</summary>
    public bool AllowMinUser { get; init; }

    /// <summary>Reads the settings.</summary>
    public static QueueManagerOptions From(MailConfiguration configuration, uint ownerUid) => new()
    {
        OwnerUid = ownerUid,
        ActiveLimit = Math.Max(1, configuration.GetInt("qmgr_message_active_limit")),
        RecipientLimit = Math.Max(1, configuration.GetInt("qmgr_message_recipient_limit")),
        MinimalBackoff = configuration.GetTime("minimal_backoff_time"),
        MaximalBackoff = configuration.GetTime("maximal_backoff_time"),
        QueueRunDelay = configuration.GetTime("queue_run_delay"),
        MaximalLifetime = configuration.GetTime("maximal_queue_lifetime"),
        BounceLifetime = configuration.GetTime("bounce_queue_lifetime"),
        TransportRetry = configuration.GetTime("transport_retry_time"),
        DelayWarnings = [.. configuration.GetTimes("delay_warning_time").Where(age => age > TimeSpan.Zero).Order()],
        DeferTransports = configuration.GetList("defer_transports").ToHashSet(StringComparer.OrdinalIgnoreCase),
        SoftBounce = configuration.GetBool("soft_bounce"),
        DelayDecimals = Math.Clamp(configuration.GetInt("delay_logging_resolution_limit"), 0, 6),
        FlushOnStart = configuration.GetBool("flush_deferred_on_start"),
        DoubleBounceSender = configuration.GetString("double_bounce_sender"),
        RecipientDelimiter = configuration.GetString("recipient_delimiter"),
        AllowMinUser = configuration.GetBool("allow_min_user"),
    };
}

/// <summary>A transport as the queue manager uses it: a unix row of master.cf and the agent behind it.</summary>
/// <param name="Agent">Who delivers.</param>
/// <param name="Limits">Its settings.</param>
/// <param name="Log">
/// Where its delivery lines go: the command's name after syslog_name, such as <c>postfix/smtp</c>, or with a row's
/// <c>-o syslog_name=postfix/$service_name</c> <c>postfix/relay/smtp</c>.
/// </param>
public sealed record TransportService(IDeliveryAgent Agent, TransportLimits Limits, MailLog Log)
{
    /// <summary>What the agent looks up in; each delivery holds them. Null for an agent without tables.</summary>
    public TableRegistry? Tables { get; init; }
}
