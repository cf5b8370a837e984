using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Seams;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>The restrictions that look at names: whether they are well-formed, complete, and known to DNS.</summary>
internal sealed class HostChecks
{
    private readonly SmtpdService _service;
    private readonly RestrictionEvaluator _evaluator;
    private readonly int _nonFqdnCode;
    private readonly int _invalidNameCode;
    private readonly int _unknownClientCode;
    private readonly int _unknownAddressCode;

    public HostChecks(MailConfiguration configuration, SmtpdService service, RestrictionEvaluator evaluator)
    {
        _service = service;
        _evaluator = evaluator;
        _nonFqdnCode = configuration.GetInt("non_fqdn_reject_code");
        _invalidNameCode = configuration.GetInt("invalid_hostname_reject_code");
        _unknownClientCode = configuration.GetInt("unknown_client_reject_code");
        _unknownAddressCode = configuration.GetInt("unknown_address_reject_code");
    }

    public async ValueTask<Verdict> AskAsync(RestrictionKind kind, CheckState state, CancellationToken cancellationToken) => kind switch
    {
        RestrictionKind.RejectNonFqdnSender => NonFqdnAddress(state, state.Sender, "Sender"),
        RestrictionKind.RejectNonFqdnRecipient => NonFqdnAddress(state, state.Recipient, "Recipient"),
        RestrictionKind.RejectNonFqdnHelo => NonFqdnHelo(state),
        RestrictionKind.RejectInvalidHelo => InvalidHelo(state),
        RestrictionKind.RejectUnknownClient => UnknownClient(
            state, state.Client.NameStatus, "4.7.25", $"Client host rejected: cannot find your hostname, [{state.Client.Address}]"),
        RestrictionKind.RejectUnknownReverseClient => UnknownClient(
            state, state.Client.ReverseStatus, "4.7.25", $"Client host rejected: cannot find your reverse hostname, [{state.Client.Address}]"),
        RestrictionKind.RejectUnknownSenderDomain => await UnknownDomainAsync(state, state.Sender, isSender: true, cancellationToken),
        RestrictionKind.RejectUnknownRecipientDomain => await UnknownDomainAsync(state, state.Recipient, isSender: false, cancellationToken),
        _ => _evaluator.ServerError(state, $"restriction {kind} has no implementation"),
    };

    private Verdict NonFqdnAddress(CheckState state, string? address, string kind)
    {
        if (string.IsNullOrEmpty(address))
        {
            return Verdict.Dunno;
        }

        string domain = AddressText.DomainOf(address);
        bool isLiteral = domain is ['[', .., ']'];
        bool complete = isLiteral || (HostNames.IsValid(domain) && domain.Contains('.', StringComparison.Ordinal));
        return complete
            ? Verdict.Dunno
            : _evaluator.Reject(
                state, _nonFqdnCode, "5.5.2", $"<{address}>: {kind} address rejected: need fully-qualified address");
    }

    private Verdict NonFqdnHelo(CheckState state)
    {
        if (state.Helo is not { } helo)
        {
            return Verdict.Dunno;
        }

        string name = helo.EndsWith('.') ? helo[..^1] : helo;
        bool complete = name is ['[', ..] || HostNames.IsValidAddress(name, out _)
            || (HostNames.IsValid(name) && name.Contains('.', StringComparison.Ordinal));
        return complete
            ? Verdict.Dunno
            : _evaluator.Reject(state, _nonFqdnCode, "5.5.2", $"<{helo}>: Helo command rejected: need fully-qualified hostname");
    }

    private Verdict InvalidHelo(CheckState state)
    {
        if (state.Helo is not { } helo)
        {
            return Verdict.Dunno;
        }

        string name = helo.EndsWith('.') ? helo[..^1] : helo;
        if (name is ['[', .. string inside, ']'])
        {
            return HostNames.IsValidLiteral(inside, out _) ? Verdict.Dunno : Invalid("invalid ip address");
        }

        return HostNames.IsValid(name) || HostNames.IsValidAddress(name, out _) ? Verdict.Dunno : Invalid("Invalid name");

        Verdict Invalid(string reason) => _evaluator.Reject(state, _invalidNameCode, "5.5.2", $"<{helo}>: Helo command rejected: {reason}");
    }

    private Verdict UnknownClient(CheckState state, NameStatus status, string dsn, string text) => status == NameStatus.Ok
        ? Verdict.Dunno
        : _evaluator.Reject(state, status == NameStatus.Permanent ? _unknownClientCode : 450, dsn, text);

    private async ValueTask<Verdict> UnknownDomainAsync(CheckState state, string? address, bool isSender, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(address))
        {
            return Verdict.Dunno;
        }

        Classification found = await _service.Parts.Classifier.ClassifyAsync(address, cancellationToken);
        if (found.Status == ClassificationStatus.TemporaryError)
        {
            return _evaluator.LookupFailure(state, address, found.Error);
        }

        string domain = AddressText.DomainOf(found.Address);
        if (found.IsFinal || domain.Length == 0 || domain is ['[', ..])
        {
            return Verdict.Dunno;
        }

        string subject = $"<{address}>: {(isSender ? "Sender" : "Recipient")} address rejected: ";
        string dsn = isSender ? "4.1.8" : "4.1.2";
        DnsAnswer<MxRecord> exchangers = await _service.Parts.Dns.QueryMxAsync(domain, cancellationToken);
        if (exchangers.Status == DnsStatus.Found)
        {
            // RFC 7505: a domain whose only exchanger is "." takes no mail.
            return exchangers.Records is [{ Exchange: "" or "." }]
                ? _evaluator.Reject(state, isSender ? 550 : 556, isSender ? "5.7.27" : "5.1.10", $"{subject}Domain {domain} does not accept mail (nullMX)")
                : Verdict.Dunno;
        }

        DnsAnswer<IPAddress> four = await _service.Parts.Dns.QueryAAsync(domain, cancellationToken);
        DnsAnswer<IPAddress> six = four.Status == DnsStatus.Found ? four : await _service.Parts.Dns.QueryAaaaAsync(domain, cancellationToken);
        if (four.Status == DnsStatus.Found || six.Status == DnsStatus.Found)
        {
            return Verdict.Dunno;
        }

        if (exchangers.Status == DnsStatus.TemporaryError || four.Status == DnsStatus.TemporaryError || six.Status == DnsStatus.TemporaryError)
        {
            // unknown_address_tempfail_action = defer_if_permit: others may still refuse it for good.
            state.DeferIfPermit ??= new Refusal(450, dsn, subject + "Domain not found");
            return Verdict.Dunno;
        }

        return _evaluator.Reject(state, _unknownAddressCode, dsn, subject + "Domain not found");
    }
}
