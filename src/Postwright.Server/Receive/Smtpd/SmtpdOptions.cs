using Postwright.Core.Configuration;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>smtpd_forbid_bare_newline: what an LF without CR means.</summary>
public enum BareNewline : byte
{
    /// <summary>The end of a line like any other, the end of data included: unsafe, for old clients in networks of one's own.</summary>
    Allow,

    /// <summary>The end of a line, but the end of data must be CR LF . CR LF.</summary>
    Normalize,

    /// <summary>As <see cref="Normalize"/>, and the disconnect line says so.</summary>
    Note,

    /// <summary>The command or message is refused and the session ends.</summary>
    Reject,
}

/// <summary>Words of an EHLO reply that smtpd_discard_ehlo_keywords may take away.</summary>
[Flags]
public enum EhloKeywords
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>PIPELINING (RFC 2920).</summary>
    Pipelining = 1,

    /// <summary>SIZE (RFC 1870).</summary>
    Size = 2,

    /// <summary>VRFY.</summary>
    Vrfy = 4,

    /// <summary>ETRN (RFC 1985).</summary>
    Etrn = 8,

    /// <summary>XCLIENT.</summary>
    Xclient = 16,

    /// <summary>ENHANCEDSTATUSCODES (RFC 2034).</summary>
    EnhancedStatusCodes = 32,

    /// <summary>8BITMIME (RFC 6152).</summary>
    EightBitMime = 64,

    /// <summary>DSN (RFC 3461).</summary>
    Dsn = 128,

    /// <summary>SMTPUTF8 (RFC 6531).</summary>
    SmtpUtf8 = 256,

    /// <summary>CHUNKING (RFC 3030).</summary>
    Chunking = 512,

    /// <summary>Do not log that keywords are discarded.</summary>
    SilentDiscard = 1024,

    /// <summary>STARTTLS, AUTH, XFORWARD: known names that are not offered anyway.</summary>
    NotOffered = 2048,
}

/// <summary>
/// smtpd's settings, read once, <c>-o</c> overrides included. Immutable: a session keeps those it began with.
/// Each limit is here so that a client can take neither memory nor time without bound.
/// </summary>
public sealed record SmtpdOptions
{
    /// <summary>myhostname: in the banner, EHLO's first line, Received: and error replies.</summary>
    public required string MyHostName { get; init; }

    /// <summary>mail_name, in Received:.</summary>
    public string MailName { get; init; } = "Postfix";

    /// <summary>smtpd_banner, the text after 220.</summary>
    public string Banner { get; init; } = "";

    /// <summary>The master.cf service name, in rate-limit warnings.</summary>
    public string ServiceName { get; init; } = "smtp";

    /// <summary>smtpd_timeout: for each read and write.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>smtpd_per_request_deadline: the time-out is for a whole command or message, not for each read.</summary>
    public bool PerRequestDeadline { get; init; }

    /// <summary>smtpd_min_data_rate in bytes a second, by which a request deadline grows.</summary>
    public int MinDataRate { get; init; } = 500;

    /// <summary>smtpd_error_sleep_time: how long a reply waits once the soft error limit is reached.</summary>
    public TimeSpan ErrorSleepTime { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>smtpd_soft_error_limit.</summary>
    public int SoftErrorLimit { get; init; } = 10;

    /// <summary>smtpd_hard_error_limit: the session ends.</summary>
    public int HardErrorLimit { get; init; } = 20;

    /// <summary>smtpd_junk_command_limit: NOOP, VRFY, RSET and the like beyond it count as errors.</summary>
    public int JunkCommandLimit { get; init; } = 100;

    /// <summary>smtpd_recipient_limit for one message.</summary>
    public int RecipientLimit { get; init; } = 1000;

    /// <summary>smtpd_recipient_overshoot_limit: so many RCPT beyond the limit are no error.</summary>
    public int RecipientOvershootLimit { get; init; } = 1000;

    /// <summary>line_length_limit in bytes: what is longer of a command is not looked at.</summary>
    public int LineLengthLimit { get; init; } = 2048;

    /// <summary>message_size_limit in bytes, 0 for none; counted on what arrives.</summary>
    public long MessageSizeLimit { get; init; } = 10240000;

    /// <summary>queue_minfree: bytes that must be free before a message is begun.</summary>
    public long QueueMinFree { get; init; }

    /// <summary>smtpd_forbid_bare_newline.</summary>
    public BareNewline BareNewline { get; init; } = BareNewline.Normalize;

    /// <summary>smtpd_forbid_bare_newline_reject_code.</summary>
    public int BareNewlineRejectCode { get; init; } = 550;

    /// <summary>smtpd_forbid_unauth_pipelining.</summary>
    public bool ForbidUnauthPipelining { get; init; } = true;

    /// <summary>smtpd_helo_required.</summary>
    public bool HeloRequired { get; init; }

    /// <summary>disable_vrfy_command.</summary>
    public bool DisableVrfy { get; init; }

    /// <summary>strict_rfc821_envelopes.</summary>
    public bool StrictEnvelopes { get; init; }

    /// <summary>smtpd_delay_reject: client, HELO and sender are judged at RCPT TO.</summary>
    public bool DelayReject { get; init; } = true;

    /// <summary>smtpd_relay_before_recipient_restrictions.</summary>
    public bool RelayBeforeRecipient { get; init; } = true;

    /// <summary>smtpd_reject_unlisted_recipient.</summary>
    public bool RejectUnlistedRecipient { get; init; } = true;

    /// <summary>smtpd_reject_unlisted_sender.</summary>
    public bool RejectUnlistedSender { get; init; }

    /// <summary>smtpd_peername_lookup.</summary>
    public bool PeerNameLookup { get; init; } = true;

    /// <summary>smtpd_client_port_logging.</summary>
    public bool ClientPortLogging { get; init; }

    /// <summary>smtputf8_enable.</summary>
    public bool SmtpUtf8Enabled { get; init; } = true;

    /// <summary>strict_smtputf8: a non-ASCII address needs SMTPUTF8 on MAIL.</summary>
    public bool StrictSmtpUtf8 { get; init; }

    /// <summary>smtpd_discard_ehlo_keywords.</summary>
    public EhloKeywords DiscardedKeywords { get; init; }

    /// <summary>soft_bounce: every 5xx becomes 4xx.</summary>
    public bool SoftBounce { get; init; }

    /// <summary>smtpd_noop_commands, upper case.</summary>
    public IReadOnlyList<string> NoopCommands { get; init; } = [];

    /// <summary>smtpd_client_connection_count_limit for one client, 0 for none.</summary>
    public int ClientConnectionLimit { get; init; } = 50;

    /// <summary>smtpd_client_connection_rate_limit a minute (anvil_rate_time_unit), 0 for none.</summary>
    public int ClientConnectionRateLimit { get; init; }

    /// <summary>smtpd_client_message_rate_limit, 0 for none.</summary>
    public int ClientMessageRateLimit { get; init; }

    /// <summary>smtpd_client_recipient_rate_limit, 0 for none.</summary>
    public int ClientRecipientRateLimit { get; init; }

    /// <summary>anvil_rate_time_unit.</summary>
    public TimeSpan RateTimeUnit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>smtpd_client_ipv4_prefix_length: clients are counted by network.</summary>
    public int ClientIpv4PrefixLength { get; init; } = 32;

    /// <summary>smtpd_client_ipv6_prefix_length.</summary>
    public int ClientIpv6PrefixLength { get; init; } = 84;

    /// <summary>Reads the settings of a service.</summary>
    /// <param name="configuration">With the service's <c>-o</c> overrides.</param>
    /// <param name="serviceName">Its name in master.cf: <c>smtp</c>, <c>submission</c>.</param>
    public static SmtpdOptions From(MailConfiguration configuration, string serviceName = "smtp") => new()
    {
        MyHostName = configuration.GetString("myhostname"),
        MailName = configuration.GetString("mail_name"),
        Banner = configuration.GetString("smtpd_banner"),
        ServiceName = serviceName,
        Timeout = configuration.GetTime("smtpd_timeout"),
        PerRequestDeadline = configuration.GetBool("smtpd_per_request_deadline"),
        MinDataRate = configuration.GetInt("smtpd_min_data_rate"),
        ErrorSleepTime = configuration.GetTime("smtpd_error_sleep_time"),
        SoftErrorLimit = configuration.GetInt("smtpd_soft_error_limit"),
        HardErrorLimit = configuration.GetInt("smtpd_hard_error_limit"),
        JunkCommandLimit = configuration.GetInt("smtpd_junk_command_limit"),
        RecipientLimit = configuration.GetInt("smtpd_recipient_limit"),
        RecipientOvershootLimit = configuration.GetInt("smtpd_recipient_overshoot_limit"),
        LineLengthLimit = Math.Max(512, configuration.GetInt("line_length_limit")),
        MessageSizeLimit = configuration.GetLong("message_size_limit"),
        QueueMinFree = configuration.GetLong("queue_minfree"),
        BareNewline = ParseBareNewline(configuration.GetString("smtpd_forbid_bare_newline")),
        BareNewlineRejectCode = configuration.GetInt("smtpd_forbid_bare_newline_reject_code"),
        ForbidUnauthPipelining = configuration.GetBool("smtpd_forbid_unauth_pipelining"),
        HeloRequired = configuration.GetBool("smtpd_helo_required"),
        DisableVrfy = configuration.GetBool("disable_vrfy_command"),
        StrictEnvelopes = configuration.GetBool("strict_rfc821_envelopes"),
        DelayReject = configuration.GetBool("smtpd_delay_reject"),
        RelayBeforeRecipient = configuration.GetBool("smtpd_relay_before_recipient_restrictions"),
        RejectUnlistedRecipient = configuration.GetBool("smtpd_reject_unlisted_recipient"),
        RejectUnlistedSender = configuration.GetBool("smtpd_reject_unlisted_sender"),
        PeerNameLookup = configuration.GetBool("smtpd_peername_lookup"),
        ClientPortLogging = configuration.GetBool("smtpd_client_port_logging"),
        SmtpUtf8Enabled = configuration.GetBool("smtputf8_enable"),
        StrictSmtpUtf8 = configuration.GetBool("strict_smtputf8"),
        DiscardedKeywords = ParseKeywords(configuration.GetList("smtpd_discard_ehlo_keywords")),
        SoftBounce = configuration.GetBool("soft_bounce"),
        NoopCommands = [.. configuration.GetList("smtpd_noop_commands").Select(static name => name.ToUpperInvariant())],
        ClientConnectionLimit = configuration.GetInt("smtpd_client_connection_count_limit"),
        ClientConnectionRateLimit = configuration.GetInt("smtpd_client_connection_rate_limit"),
        ClientMessageRateLimit = configuration.GetInt("smtpd_client_message_rate_limit"),
        ClientRecipientRateLimit = configuration.GetInt("smtpd_client_recipient_rate_limit"),
        RateTimeUnit = configuration.GetTime("anvil_rate_time_unit"),
        ClientIpv4PrefixLength = configuration.GetInt("smtpd_client_ipv4_prefix_length"),
        ClientIpv6PrefixLength = configuration.GetInt("smtpd_client_ipv6_prefix_length"),
    };

    /// <summary>yes means normalize; a word that is none of Postfix's means the strictest, reject.</summary>
    internal static BareNewline ParseBareNewline(string value) => value.ToLowerInvariant() switch
    {
        "no" => BareNewline.Allow,
        "yes" or "normalize" => BareNewline.Normalize,
        "note" => BareNewline.Note,
        _ => BareNewline.Reject,
    };

    /// <summary>Reads a list of EHLO words; unknown ones are left out.</summary>
    internal static EhloKeywords ParseKeywords(IEnumerable<string> words)
    {
        EhloKeywords all = EhloKeywords.None;
        foreach (string word in words)
        {
            all |= word.ToUpperInvariant() switch
            {
                "PIPELINING" => EhloKeywords.Pipelining,
                "SIZE" => EhloKeywords.Size,
                "VRFY" => EhloKeywords.Vrfy,
                "ETRN" => EhloKeywords.Etrn,
                "XCLIENT" => EhloKeywords.Xclient,
                "ENHANCEDSTATUSCODES" => EhloKeywords.EnhancedStatusCodes,
                "8BITMIME" => EhloKeywords.EightBitMime,
                "DSN" => EhloKeywords.Dsn,
                "SMTPUTF8" => EhloKeywords.SmtpUtf8,
                "CHUNKING" => EhloKeywords.Chunking,
                "SILENT-DISCARD" => EhloKeywords.SilentDiscard,
                "STARTTLS" or "AUTH" or "XFORWARD" => EhloKeywords.NotOffered,
                _ => EhloKeywords.None,
            };
        }

        return all;
    }
}
