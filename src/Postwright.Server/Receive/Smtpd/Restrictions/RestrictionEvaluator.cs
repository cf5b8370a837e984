using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// Asks restrictions in order until one decides. Refusals are logged here, in Postfix's words, and are the reply. Lists in
/// lists (classes, access tables that name restrictions) are followed to a depth of a hundred.
/// </summary>
internal sealed class RestrictionEvaluator
{
    private const int MaxDepth = 100;

    private readonly SmtpdService _service;
    private readonly RestrictionReader _reader;
    private readonly IReadOnlyDictionary<string, IReadOnlyList<string>> _classes;
    private readonly UnlistedCheck _unlisted;
    private readonly AccessTable _tables;
    private readonly HostChecks _hosts;
    private readonly NetworkChecks _networks;
    private readonly int _rejectCode;
    private readonly int _deferCode;
    private readonly int _relayCode;
    private readonly int _multiRecipientCode;

    public RestrictionEvaluator(
        MailConfiguration configuration,
        SmtpdService service,
        RestrictionReader reader,
        IReadOnlyDictionary<string, IReadOnlyList<string>> classes,
        UnlistedCheck unlisted)
    {
        _service = service;
        _reader = reader;
        _classes = classes;
        _unlisted = unlisted;
        _tables = new AccessTable(configuration, this, unlisted.FinderOptions);
        _hosts = new HostChecks(configuration, service, this);
        _networks = new NetworkChecks(configuration, service, this);
        _rejectCode = configuration.GetInt("reject_code");
        _deferCode = configuration.GetInt("defer_code");
        _relayCode = configuration.GetInt("relay_domains_reject_code");
        _multiRecipientCode = configuration.GetInt("multi_recipient_bounce_reject_code");
    }

    /// <summary>Asks a list.</summary>
    public async ValueTask<Verdict> RunAsync(
        IReadOnlyList<Restriction> list, RestrictionStage stage, Subject subject, CheckState state, int depth, CancellationToken cancellationToken)
    {
        for (int i = 0; i < list.Count; i++)
        {
            Restriction restriction = list[i];
            if (restriction.Kind == RestrictionKind.WarnIfReject)
            {
                if (i + 1 < list.Count)
                {
                    state.WarnsOnly = true;
                }

                continue;
            }

            bool warned = state.WarnsOnly;
            Verdict verdict = await AskAsync(restriction, stage, subject, state, depth, cancellationToken);
            if (warned && depth == 0)
            {
                state.WarnsOnly = false;
            }

            if (verdict != Verdict.Dunno)
            {
                return verdict;
            }
        }

        return Verdict.Dunno;
    }

    /// <summary>Follows a list that an access table or class names.</summary>
    public ValueTask<Verdict> RunTextAsync(
        IReadOnlyList<string> words, string title, RestrictionStage stage, Subject subject, CheckState state, int depth, CancellationToken cancellationToken)
    {
        if (depth >= MaxDepth)
        {
            return ValueTask.FromResult(ServerError(state, $"access table {title} entry causes unreasonable recursion"));
        }

        // A reader of its own: its errors are this client's alone, and are logged when they are met.
        RestrictionReader reader = new(_service.Parts.Tables, _classes.Keys.ToHashSet());
        return RunAsync(reader.Read(words, stage, title), stage, subject, state, depth + 1, cancellationToken);
    }

    /// <summary>Refuses: logs, and remembers the reply. With warn_if_reject it only logs.</summary>
    public Verdict Reject(CheckState state, int code, string dsn, string text)
    {
        if (state.DeferIfReject is { } doubt && code / 100 == 5 && !state.WarnsOnly)
        {
            (code, dsn, text) = (doubt.Code, doubt.Dsn, doubt.Text);
        }

        // A parameter may hold any three digits; a client must see a refusal.
        if (code is < 400 or > 599)
        {
            state.Log.Warning($"SMTP reply code configuration error: {code}");
            code = 450;
        }

        int family = _service.Options.SoftBounce ? 4 : code / 100;
        code = (family * 100) + (code % 100);
        string reply = $"{code} {family}{dsn.AsSpan(1)} {text}";
        state.LogEvent(state.WarnsOnly ? "reject_warning" : "reject", reply);
        if (state.WarnsOnly)
        {
            return Verdict.Dunno;
        }

        // RFC 5321, 3.8: a reply of 421 closes; Postfix hangs up after 521 too.
        state.HangUp |= code is 421 or 521;
        state.Reply = reply;
        return Verdict.Reject;
    }

    /// <summary>451 4.3.5 and a warning: the configuration says what cannot be done.</summary>
    public Verdict ServerError(CheckState state, string warning)
    {
        state.Log.Warning(warning);
        return Reject(state, 451, "4.3.5", "Server configuration error");
    }

    /// <summary>451 4.3.0: a table could not be asked.</summary>
    public Verdict LookupFailure(CheckState state, string address, string? error)
    {
        if (error is not null)
        {
            state.Log.Warning(error);
        }

        return Reject(state, 451, "4.3.0", $"<{address}>: Temporary lookup failure");
    }

    private async ValueTask<Verdict> AskAsync(
        Restriction restriction, RestrictionStage stage, Subject subject, CheckState state, int depth, CancellationToken cancellationToken)
    {
        switch (restriction.Kind)
        {
            case RestrictionKind.Permit:
                return Verdict.Permit;
            case RestrictionKind.Reject:
                return Reject(state, _rejectCode, "5.7.1", $"<{subject.Name}>: {subject.Kind} rejected: Access denied");
            case RestrictionKind.Defer:
                return Reject(state, _deferCode, "4.3.2", $"<{subject.Name}>: {subject.Kind} rejected: Try again later");
            case RestrictionKind.DeferIfPermit:
                state.DeferIfPermit ??= new Refusal(450, "4.7.0", $"<{subject.Name}>: {subject.Kind} rejected: defer_if_permit requested");
                return Verdict.Dunno;
            case RestrictionKind.DeferIfReject:
                state.DeferIfReject ??= new Refusal(450, "4.7.0", $"<{subject.Name}>: {subject.Kind} rejected: defer_if_reject requested");
                return Verdict.Dunno;
            case RestrictionKind.PermitMyNetworks:
                return await _networks.PermitMyNetworksAsync(state, subject, cancellationToken);
            case RestrictionKind.PermitInetInterfaces:
                return _networks.IsOwnAddress(state.Client) ? Verdict.Permit : Verdict.Dunno;
            case RestrictionKind.PermitSaslAuthenticated:
                // Nobody authenticates: AUTH is refused.
                return Verdict.Dunno;
            case RestrictionKind.RejectUnauthPipelining:
                return state.PipelinesWrongly
                    ? Reject(state, 503, "5.5.0", $"<{subject.Name}>: {subject.Kind} rejected: Improper use of SMTP command pipelining")
                    : Verdict.Dunno;
            case RestrictionKind.Class:
                return _classes.TryGetValue(restriction.Name, out IReadOnlyList<string>? words)
                    ? await RunTextAsync(words, restriction.Name, stage, subject, state, depth, cancellationToken)
                    : ServerError(state, $"restriction class `{restriction.Name}' needs a definition");
            case RestrictionKind.ServerError:
                return ServerError(state, restriction.Warning!);
            case RestrictionKind.CheckClientAccess:
                return await _tables.CheckClientAsync(restriction.Maps!, state, stage, depth, cancellationToken);
            case RestrictionKind.CheckHeloAccess:
                return await _tables.CheckHeloAsync(restriction.Maps!, state, stage, depth, cancellationToken);
            case RestrictionKind.CheckSenderAccess:
                return await _tables.CheckSenderAsync(restriction.Maps!, state, stage, depth, cancellationToken);
            case RestrictionKind.CheckRecipientAccess:
                return await _tables.CheckRecipientAsync(restriction.Maps!, state, stage, depth, cancellationToken);
            case RestrictionKind.RejectUnauthDestination or RestrictionKind.DeferUnauthDestination or RestrictionKind.PermitAuthDestination:
                return state.Recipient is { } recipient ? await DestinationAsync(restriction.Kind, state, recipient, cancellationToken) : Verdict.Dunno;
            case RestrictionKind.RejectUnlistedRecipient:
                return state.Recipient is { } listed ? await _unlisted.CheckAsync(state, listed, isSender: false, this, cancellationToken) : Verdict.Dunno;
            case RestrictionKind.RejectUnlistedSender:
                return state.Sender is { Length: > 0 } sender ? await _unlisted.CheckAsync(state, sender, isSender: true, this, cancellationToken) : Verdict.Dunno;
            case RestrictionKind.RejectMultiRecipientBounce:
                return state.Sender is "" && state.Recipient is null && state.Where is "DATA" or "END-OF-MESSAGE"
                    ? Reject(state, _multiRecipientCode, "5.5.3", $"<{subject.Name}>: {subject.Kind} rejected: Multi-recipient bounce")
                    : Verdict.Dunno;
            default:
                return await _hosts.AskAsync(restriction.Kind, state, cancellationToken);
        }
    }

    /// <summary>
    /// True if the default that smtpd_relay_restrictions has since 2.10 (permit_mynetworks, defer_unauth_destination) would refuse:
    /// nothing is refused here, and who cannot be judged is not spoken of.
    /// </summary>
    public async ValueTask<bool> IsRelayingStrangerAsync(CheckState state, string recipient, CancellationToken cancellationToken)
    {
        if (await _service.MyNetworks.MatchAsync(state.Client.Name, state.Client.Address, cancellationToken) != MatchResult.NoMatch)
        {
            return false;
        }

        Classification found = await _service.Parts.Classifier.ClassifyAsync(recipient, cancellationToken);
        return found.Status == ClassificationStatus.Known && !IsOurs(state, found);
    }

    // Our own domains, and those that we relay for.
    private bool IsOurs(CheckState state, Classification found)
    {
        bool ours = found.Status == ClassificationStatus.Known && !found.IsRouted && found.Class != AddressClass.Default;
        if (ours && found.Class == AddressClass.Relay)
        {
            _service.Reminders.RelayDomain(state, found.Address);
        }

        return ours;
    }

    // The relay decision: our own domains, and those we relay for; a source route leads who knows where.
    private async ValueTask<Verdict> DestinationAsync(RestrictionKind kind, CheckState state, string recipient, CancellationToken cancellationToken)
    {
        Classification found = await _service.Parts.Classifier.ClassifyAsync(recipient, cancellationToken);
        if (found.Status == ClassificationStatus.TemporaryError)
        {
            return LookupFailure(state, recipient, found.Error);
        }

        bool ours = IsOurs(state, found);
        if (kind == RestrictionKind.PermitAuthDestination)
        {
            return ours ? Verdict.Permit : Verdict.Dunno;
        }

        if (ours)
        {
            return Verdict.Dunno;
        }

        switch (await _networks.MatchesRelayDomainsAsync(state.Client, cancellationToken))
        {
            case MatchResult.Match:
                return Verdict.Dunno;
            case MatchResult.TemporaryError:
                return LookupFailure(state, recipient, null);
            default:
                break;
        }

        string text = $"<{recipient}>: Relay access denied";
        return kind == RestrictionKind.RejectUnauthDestination
            ? Reject(state, _relayCode, "5.7.1", text)
            : Reject(state, _relayCode is >= 500 and < 600 ? _relayCode - 100 : _relayCode, "4.7.1", text);
    }
}
