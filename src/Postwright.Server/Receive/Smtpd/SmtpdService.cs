using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;
using Postwright.Server.Receive.Smtpd.Restrictions;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>What a service needs beside its configuration: the parts of the mail system that it talks to.</summary>
public sealed record SmtpdParts
{
    /// <summary>The open tables.</summary>
    public required TableRegistry Tables { get; init; }

    /// <summary>Gives queue IDs.</summary>
    public required IMessageStore Store { get; init; }

    /// <summary>Takes messages.</summary>
    public required ICleanup Cleanup { get; init; }

    /// <summary>ETRN's other side.</summary>
    public required IQueueControl Queue { get; init; }

    /// <summary>Tells to which class an address belongs.</summary>
    public required IAddressClassifier Classifier { get; init; }

    /// <summary>Names and addresses.</summary>
    public required IDnsResolver Dns { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>Under the tag of smtpd; each session gets a number of its own.</summary>
    public required MailLog Log { get; init; }

    /// <summary>The addresses of this machine (inet_interfaces), for permit_inet_interfaces.</summary>
    public IReadOnlyCollection<IPAddress> OwnAddresses { get; init; } = [];

    /// <summary>receive_override_options has no_unknown_recipient_checks.</summary>
    public bool SkipsUnknownRecipientChecks { get; init; }

    /// <summary>receive_override_options has no_address_mappings.</summary>
    public bool SkipsAddressMappings { get; init; }
}

/// <summary>
/// An inet row of smtpd under one configuration: settings, lists and tables, read once. A reload makes a new one; sessions
/// that run keep theirs. <see cref="Errors"/> is for <c>postfix check</c> and start, which refuse what would let mail through.
/// </summary>
public sealed class SmtpdService
{
    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">With the row's <c>-o</c> overrides.</param>
    /// <param name="serviceName">The row's name, as in <c>smtp</c>.</param>
    /// <param name="parts">What it talks to.</param>
    public SmtpdService(MailConfiguration configuration, string serviceName, SmtpdParts parts)
    {
        Parts = parts;
        Dates = new DateText(parts.Time);
        Options = SmtpdOptions.From(configuration, serviceName);
        MyNetworks = Addresses(configuration, "mynetworks");
        XclientHosts = Addresses(configuration, "smtpd_authorized_xclient_hosts");
        BareNewlineExclusions = Addresses(configuration, "smtpd_forbid_bare_newline_exclusions");
        EventLimitExceptions = Addresses(configuration, "smtpd_client_event_limit_exceptions");
        ForbiddenCommands = StringList.Open(parts.Tables, "smtpd_forbidden_commands", configuration.GetString("smtpd_forbidden_commands"));
        FastFlushDomains = DomainList.Open(
            parts.Tables, "fast_flush_domains", configuration.GetString("fast_flush_domains"), MatchesSubdomains(configuration, "fast_flush_domains"));
        Reminders = new CompatibilityReminders(configuration);
        Policy = new AccessPolicy(configuration, this);
        LocalClients = new LocalClients(configuration, this);
    }

    /// <summary>The settings.</summary>
    public SmtpdOptions Options { get; }

    /// <summary>Configuration errors that would make restrictions answer with the server error, or let mail through.</summary>
    public IReadOnlyList<string> Errors => Policy.Errors;

    internal SmtpdParts Parts { get; }

    internal AddressList MyNetworks { get; }

    internal AddressList XclientHosts { get; }

    internal AddressList BareNewlineExclusions { get; }

    internal AddressList EventLimitExceptions { get; }

    internal StringList ForbiddenCommands { get; }

    internal DomainList FastFlushDomains { get; }

    internal CompatibilityReminders Reminders { get; }

    internal AccessPolicy Policy { get; }

    internal LocalClients LocalClients { get; }

    internal DateText Dates { get; }

    internal static bool MatchesSubdomains(MailConfiguration configuration, string parameter) =>
        configuration.GetList("parent_domain_matches_subdomains").Contains(parameter, StringComparer.Ordinal);

    private AddressList Addresses(MailConfiguration configuration, string parameter) => AddressList.Open(
        Parts.Tables, parameter, configuration.GetString(parameter), MatchesSubdomains(configuration, parameter));
}
