using System.Net;
using Postwright.Core.Configuration;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// The smtp_ (or lmtp_) parameters of one transport row, read once. Time-outs are per stage, as RFC 5321, 4.5.3.2 asks.
/// </summary>
internal sealed record SmtpClientOptions
{
    /// <summary>True for lmtp: LHLO, and a reply per recipient after the final dot (RFC 2033).</summary>
    public bool IsLmtp { get; init; }

    /// <summary>smtp_helo_name.</summary>
    public required string HeloName { get; init; }

    /// <summary>smtp_always_send_ehlo; without it EHLO is sent only to servers that greet with ESMTP.</summary>
    public bool AlwaysSendEhlo { get; init; } = true;

    /// <summary>smtp_never_send_ehlo.</summary>
    public bool NeverSendEhlo { get; init; }

    /// <summary>smtp_skip_5xx_greeting: a refusing greeting sends us to the next exchanger, and is temporary.</summary>
    public bool Skip5xxGreeting { get; init; } = true;

    /// <summary>smtp_skip_quit_response: nobody waits for the answer to QUIT.</summary>
    public bool SkipQuitResponse { get; init; } = true;

    /// <summary>Words of EHLO replies to pass over (smtp_discard_ehlo_keywords), upper case.</summary>
    public IReadOnlyList<string> DiscardedKeywords { get; init; } = [];

    /// <summary>smtp_line_length_limit, bytes; 0 for none.</summary>
    public int LineLengthLimit { get; init; } = 998;

    /// <summary>smtp_mx_address_limit: addresses tried at most; 0 for no limit.</summary>
    public int AddressLimit { get; init; } = 5;

    /// <summary>smtp_mx_session_limit: sessions with a greeting tried at most; 0 for no limit.</summary>
    public int SessionLimit { get; init; } = 2;

    /// <summary>smtp_randomize_addresses: exchangers of equal preference in random order.</summary>
    public bool RandomizeAddresses { get; init; } = true;

    /// <summary>smtp_address_preference: ipv4, ipv6 or any.</summary>
    public string AddressPreference { get; init; } = "any";

    /// <summary>IPv4 is in inet_protocols.</summary>
    public bool UseIpv4 { get; init; } = true;

    /// <summary>IPv6 is in inet_protocols.</summary>
    public bool UseIpv6 { get; init; }

    /// <summary>smtp_host_lookup names native: /etc/hosts counts.</summary>
    public bool NativeLookup { get; init; }

    /// <summary>smtp_host_lookup names dns, and smtp_dns_support_level does not disable it.</summary>
    public bool DnsLookup { get; init; } = true;

    /// <summary>ignore_mx_lookup_error: an MX lookup that fails counts as no MX record.</summary>
    public bool IgnoreMxLookupError { get; init; }

    /// <summary>smtp_defer_if_no_mx_address_found.</summary>
    public bool DeferIfNoMxAddress { get; init; }

    /// <summary>smtp_fallback_relay.</summary>
    public IReadOnlyList<string> FallbackRelays { get; init; } = [];

    /// <summary>smtp_bind_address, or null.</summary>
    public IPAddress? BindAddress { get; init; }

    /// <summary>smtp_bind_address6, or null.</summary>
    public IPAddress? BindAddress6 { get; init; }

    /// <summary>inet_interfaces and proxy_interfaces: exchangers at these addresses are ourselves.</summary>
    public IReadOnlySet<IPAddress> OwnAddresses { get; init; } = new HashSet<IPAddress>();

    /// <summary>smtp_connection_cache_on_demand: a finished connection waits a moment for the next message.</summary>
    public bool CacheConnections { get; init; } = true;

    /// <summary>smtp_connection_cache_time_limit: how long it waits.</summary>
    public TimeSpan CacheTimeLimit { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>smtp_connection_reuse_time_limit: how old a connection may get.</summary>
    public TimeSpan ReuseTimeLimit { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>smtp_connection_reuse_count_limit: deliveries over one connection at most; 0 for no limit.</summary>
    public int ReuseCountLimit { get; init; }

    /// <summary>smtp_connect_timeout.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>smtp_helo_timeout: greeting and EHLO.</summary>
    public TimeSpan HeloTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>smtp_mail_timeout.</summary>
    public TimeSpan MailTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>smtp_rcpt_timeout.</summary>
    public TimeSpan RcptTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>smtp_data_init_timeout: DATA.</summary>
    public TimeSpan DataInitTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>smtp_data_xfer_timeout: each piece of content.</summary>
    public TimeSpan DataXferTimeout { get; init; } = TimeSpan.FromSeconds(180);

    /// <summary>smtp_data_done_timeout: the reply to the final dot.</summary>
    public TimeSpan DataDoneTimeout { get; init; } = TimeSpan.FromSeconds(600);

    /// <summary>smtp_rset_timeout.</summary>
    public TimeSpan RsetTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>smtp_quit_timeout.</summary>
    public TimeSpan QuitTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Reads them from a configuration that already has the row's <c>-o</c> overrides.</summary>
    /// <param name="configuration">The row's settings.</param>
    /// <param name="isLmtp">Read lmtp_ rather than smtp_ parameters.</param>
    /// <param name="ownAddresses">Addresses that are ourselves.</param>
    public static SmtpClientOptions From(MailConfiguration configuration, bool isLmtp, IReadOnlySet<IPAddress> ownAddresses)
    {
        string prefix = isLmtp ? "lmtp_" : "smtp_";
        string Text(string name) => configuration.GetString(prefix + name);
        bool Flag(string name) => configuration.GetBool(prefix + name);
        TimeSpan Time(string name) => configuration.GetTime(prefix + name);
        InetProtocols protocols = InetProtocols.From(configuration).OfThisMachine;
        return new SmtpClientOptions
        {
            IsLmtp = isLmtp,
            HeloName = isLmtp ? Text("lhlo_name") : Text("helo_name"),
            AlwaysSendEhlo = isLmtp || configuration.GetBool("smtp_always_send_ehlo"),
            NeverSendEhlo = !isLmtp && configuration.GetBool("smtp_never_send_ehlo"),
            Skip5xxGreeting = Flag("skip_5xx_greeting"),
            SkipQuitResponse = Flag("skip_quit_response"),
            DiscardedKeywords = [.. configuration.GetList(prefix + (isLmtp ? "discard_lhlo_keywords" : "discard_ehlo_keywords")).Select(word => word.ToUpperInvariant())],
            LineLengthLimit = configuration.GetInt(prefix + "line_length_limit"),
            AddressLimit = configuration.GetInt(prefix + "mx_address_limit"),
            SessionLimit = configuration.GetInt(prefix + "mx_session_limit"),
            RandomizeAddresses = Flag("randomize_addresses"),
            AddressPreference = Text("address_preference"),
            UseIpv4 = protocols.Ipv4,
            UseIpv6 = protocols.Ipv6,
            NativeLookup = configuration.GetList(prefix + "host_lookup").Contains("native") || Text("dns_support_level") == "disabled",
            DnsLookup = configuration.GetList(prefix + "host_lookup").Contains("dns") && Text("dns_support_level") != "disabled",
            IgnoreMxLookupError = configuration.GetBool("ignore_mx_lookup_error"),
            DeferIfNoMxAddress = !isLmtp && configuration.GetBool("smtp_defer_if_no_mx_address_found"),
            FallbackRelays = isLmtp ? [] : configuration.GetList("smtp_fallback_relay"),
            BindAddress = Address(Text("bind_address")),
            BindAddress6 = Address(Text("bind_address6")),
            OwnAddresses = ownAddresses,
            CacheConnections = Flag("connection_cache_on_demand"),
            CacheTimeLimit = Time("connection_cache_time_limit"),
            ReuseTimeLimit = Time("connection_reuse_time_limit"),
            ReuseCountLimit = configuration.GetInt(prefix + "connection_reuse_count_limit"),
            ConnectTimeout = Time("connect_timeout"),
            HeloTimeout = isLmtp ? Time("lhlo_timeout") : Time("helo_timeout"),
            MailTimeout = Time("mail_timeout"),
            RcptTimeout = Time("rcpt_timeout"),
            DataInitTimeout = Time("data_init_timeout"),
            DataXferTimeout = Time("data_xfer_timeout"),
            DataDoneTimeout = Time("data_done_timeout"),
            RsetTimeout = Time("rset_timeout"),
            QuitTimeout = Time("quit_timeout"),
        };
    }

    private static IPAddress? Address(string text) => IPAddress.TryParse(text, out IPAddress? address) ? address : null;
}
