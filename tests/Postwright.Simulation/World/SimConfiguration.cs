using System.Net;
using Postwright.Core.Configuration;

namespace Postwright.Simulation.World;

/// <summary>The configurations that a world may have: real text of main.cf and master.cf, read in memory.</summary>
internal static class SimConfiguration
{
    public const int Variants = 6;

    private const string Main = """
        compatibility_level = 3.7
        myhostname = mail.sim.example
        mydomain = sim.example
        myorigin = local.example
        mydestination = local.example, localhost
        inet_interfaces = 10.0.0.1
        inet_protocols = ipv4
        mynetworks = 10.0.0.0/8
        local_recipient_maps =
        virtual_mailbox_domains = virtual.example
        virtual_mailbox_maps = static:yes
        transport_maps = inline:{ discard.example=discard:, error.example=error:5.1.1, lmtp.example=lmtp:inet:[192.0.2.40]:24 }
        virtual_alias_maps = inline:{ alias@local.example=ok.alias@local.example }
        alias_maps =
        alias_database =
        smtpd_banner = $myhostname ESMTP
        spool_segment_size = 1048576
        spool_inline_limit = 16384
        minimal_backoff_time = 300s
        maximal_backoff_time = 4000s
        queue_run_delay = 300s
        maximal_queue_lifetime = 3h
        bounce_queue_lifetime = 2h
        smtpd_error_sleep_time = 1s
        notify_classes = resource, software

        """;

    private const string Master = """
        smtp        inet      n       -      n      -      -       smtpd
        pickup      unix      n       -      n      60     1       pickup
        cleanup     unix      n       -      n      -      0       cleanup
        qmgr        unix      n       -      n      300    1       qmgr
        rewrite     unix      -       -      n      -      -       trivial-rewrite
        bounce      unix      -       -      n      -      0       bounce
        defer       unix      -       -      n      -      0       bounce
        trace       unix      -       -      n      -      0       bounce
        smtp        unix      -       -      n      -      -       smtp
        relay       unix      -       -      n      -      -       smtp
        lmtp        unix      -       -      n      -      -       lmtp
        error       unix      -       -      n      -      -       error
        retry       unix      -       -      n      -      -       error
        discard     unix      -       -      n      -      -       discard
        local       unix      -       n      n      -      -       local
        virtual     unix      -       n      n      -      -       virtual

        """;

    private static readonly string[] Changes =
    [
        "",
        "delay_warning_time = 20m\nnotify_classes = resource, software, 2bounce, delay\nlocal_destination_concurrency_limit = 1\n",
        "minimal_backoff_time = 60s\nmaximal_backoff_time = 900s\nqueue_run_delay = 60s\nmaximal_queue_lifetime = 40m\nbounce_queue_lifetime = 30m\nenable_long_queue_ids = yes\n",
        "spool_cache_limit = 0\nspool_inline_limit = 2000\nsmtp_connection_cache_on_demand = no\nnotify_classes = bounce, 2bounce, resource\n",
        "qmgr_message_active_limit = 3\ndefault_process_limit = 2\nsmtpd_timeout = 20s\nlocal_destination_recipient_limit = 5\nsmtp_helo_timeout = 30s\n",
        "maximal_queue_lifetime = 1d\nbounce_queue_lifetime = 12h\ninitial_destination_concurrency = 1\ndelay_warning_time = 1h\nsoft_bounce = no\nqueue_minfree = 100000\nsmtp_data_done_timeout = 60s\nvirtual_destination_recipient_limit = 3\n",
    ];

    private static readonly HostFacts Facts = new("mail.sim.example", [new InterfaceAddress(IPAddress.Parse("10.0.0.1"), 8)]) { ProcessName = "simulation" };

    /// <summary>One of the variants.</summary>
    public static MailConfiguration Make(int variant, string queueDirectory) =>
        MailConfiguration.FromText(Main + Changes[variant % Variants] + $"queue_directory = {queueDirectory}\n", Master, Facts, "/etc/postfix");
}
