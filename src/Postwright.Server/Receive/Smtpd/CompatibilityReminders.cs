using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Protocol.Mail;
using Postwright.Server.Receive.Smtpd.Restrictions;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// What the log says each time that a default of an older release decides something in a session (compatibility_level), so that
/// the administrator knows which settings to write down before the level is raised. In Postfix's words. A setting that is
/// written in main.cf, whatever its value, is not spoken of.
/// </summary>
internal sealed class CompatibilityReminders(MailConfiguration configuration)
{
    private const string Using = "using backwards-compatible default setting ";

    private readonly string? _networksStyle =
        !configuration.IsSet("mynetworks") && configuration.HasFormerDefault("mynetworks_style") ? configuration.GetString("mynetworks_style") : null;

    private readonly bool _relayDomains = configuration.HasFormerDefault("relay_domains");
    private readonly bool _flushDomains = !configuration.IsSet("fast_flush_domains") && configuration.HasFormerDefault("relay_domains");
    private readonly bool _relayOrder = configuration.HasFormerDefault("smtpd_relay_before_recipient_restrictions");
    private readonly bool _smtpUtf8 = configuration.HasFormerDefault("smtputf8_enable");

    /// <summary>True where smtpd_relay_restrictions is empty because of the level alone: its later default is to be tried.</summary>
    public bool TriesRelayRestrictions { get; } = configuration.HasFormerDefault("smtpd_relay_restrictions");

    /// <summary>A neighbour that is not this machine was permitted by mynetworks.</summary>
    public void Network(CheckState state)
    {
        if (_networksStyle is not null)
        {
            state.Log.Info($"{Using}mynetworks_style={_networksStyle} to permit request from client \"{state.Client.NameAndAddress}\"");
        }
    }

    /// <summary>A destination counts as ours because of relay_domains.</summary>
    public void RelayDomain(CheckState state, string address)
    {
        if (_relayDomains)
        {
            state.Log.Info($"{Using}relay_domains=$mydestination to accept mail for domain \"{AddressText.DomainOf(address)}\"");
        }
    }

    /// <summary>A recipient is accepted as one of relay_domains.</summary>
    public void RelayAddress(CheckState state, string address)
    {
        if (_relayDomains)
        {
            state.Log.Info($"{Using}relay_domains=$mydestination to accept mail for address \"{address}\"");
        }
    }

    /// <summary>ETRN for a domain of relay_domains.</summary>
    public void Flush(MailLog log, string domain)
    {
        if (_flushDomains)
        {
            log.Info($"{Using}relay_domains=$mydestination to flush mail for domain \"{domain}\"");
        }
    }

    /// <summary>smtpd_recipient_restrictions refuses, asked first.</summary>
    public void RelayOrder(CheckState state, string recipient)
    {
        if (_relayOrder)
        {
            state.Log.Info($"{Using}smtpd_relay_before_recipient_restrictions=no to reject recipient \"{recipient}\" from client \"{state.Client.NameAndAddress}\"");
        }
    }

    /// <summary>The later default of smtpd_relay_restrictions would refuse.</summary>
    public static void RelayRestrictions(CheckState state, string recipient) => state.Log.Info(
        $"{Using}\"smtpd_relay_restrictions = (empty)\" to avoid \"Relay access denied\" error for recipient \"{recipient}\" from client \"{state.Client.NameAndAddress}\"");

    /// <summary>An address that needs SMTPUTF8 is taken without.</summary>
    /// <param name="state">The session.</param>
    /// <param name="kind">sender or recipient.</param>
    /// <param name="address">In internal form.</param>
    public void NonAscii(CheckState state, string kind, string address)
    {
        if (_smtpUtf8 && !System.Text.Ascii.IsValid(address))
        {
            state.Log.Info($"{Using}smtputf8_enable=no to accept non-ASCII {kind} address \"{address}\" from {state.Client.NameAndAddress}");
        }
    }
}
