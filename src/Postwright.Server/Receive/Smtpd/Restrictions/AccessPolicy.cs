using System.Collections.Frozen;
using Postwright.Core.Configuration;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// The smtpd_*_restrictions of a service. Each check gives null, or the reply that refuses the command (already logged).
/// Client, HELO and sender are judged at RCPT unless smtpd_delay_reject is off; relaying is judged at RCPT always, before any
/// content is read. A table or name service that cannot answer leads to 4xx, never to acceptance.
/// </summary>
internal sealed class AccessPolicy
{
    private const string NoRelayDecision = "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: "
        + "reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or check_relay_domains";

    private readonly SmtpdService _service;
    private readonly FrozenDictionary<RestrictionList, IReadOnlyList<Restriction>> _lists;
    private readonly RestrictionEvaluator _evaluator;
    private readonly UnlistedCheck _unlisted;
    private readonly List<string> _errors = [];
    private readonly bool _decidesRelaying;

    public AccessPolicy(MailConfiguration configuration, SmtpdService service)
    {
        _service = service;
        string[] classNames = [.. configuration.GetList("smtpd_restriction_classes")];
        RestrictionReader reader = new(service.Parts.Tables, classNames.ToFrozenSet(StringComparer.Ordinal));
        Dictionary<RestrictionList, IReadOnlyList<Restriction>> lists = [];
        foreach (RestrictionList list in Enum.GetValues<RestrictionList>())
        {
            string parameter = ParameterOf(list);
            lists[list] = reader.Read(configuration.GetList(parameter), StageOf(list), parameter);
        }

        _lists = lists.ToFrozenDictionary();
        Dictionary<string, IReadOnlyList<string>> classes = [];
        foreach (string name in classNames)
        {
            string? text = configuration.GetUserDefined(name);
            if (string.IsNullOrWhiteSpace(text))
            {
                _errors.Add($"restriction class `{name}' needs a definition");
            }
            else
            {
                classes[name] = ConfigurationList.Split(text);

                // Read once for its errors; which tables a bare name means is decided where the class is used.
                reader.Read(classes[name], RestrictionStage.Recipient, name);
            }
        }

        _errors.AddRange(reader.Errors);
        _decidesRelaying = DecidesRelaying();
        if (!_decidesRelaying)
        {
            _errors.Add(NoRelayDecision);
        }

        _unlisted = new UnlistedCheck(configuration, service);
        _evaluator = new RestrictionEvaluator(configuration, service, reader, classes, _unlisted);
    }

    /// <summary>What start must refuse.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>The client, at connect or (delayed) at RCPT.</summary>
    public async ValueTask<string?> CheckClientAsync(CheckState state, CancellationToken cancellationToken)
    {
        state.DeferIfPermit = state.DeferIfReject = null;
        Verdict verdict = await RunAsync(RestrictionList.Client, state, state.Client.NameAndAddress, "Client host", cancellationToken);
        state.DeferAfterClient = state.DeferIfPermit;
        return verdict == Verdict.Reject ? state.Reply : null;
    }

    /// <summary>The HELO name.</summary>
    public async ValueTask<string?> CheckHeloAsync(CheckState state, string helo, CancellationToken cancellationToken)
    {
        state.DeferIfPermit = state.DeferAfterClient;
        state.DeferIfReject = null;
        string? saved = state.Helo;
        state.Helo = helo;
        Verdict verdict = await RunAsync(RestrictionList.Helo, state, helo, "Helo command", cancellationToken);
        state.Helo = saved;
        state.DeferAfterHelo = state.DeferIfPermit;
        return verdict == Verdict.Reject ? state.Reply : null;
    }

    /// <summary>The sender.</summary>
    public async ValueTask<string?> CheckSenderAsync(CheckState state, string sender, CancellationToken cancellationToken)
    {
        state.DeferIfPermit = state.Helo is null ? state.DeferAfterClient : state.DeferAfterHelo;
        state.DeferIfReject = null;
        state.SenderWasListed = false;
        string? saved = state.Sender;
        state.Sender = sender;
        Verdict verdict = await RunAsync(RestrictionList.Sender, state, sender, "Sender address", cancellationToken);
        if (verdict != Verdict.Reject && _service.Options.RejectUnlistedSender && !state.SenderWasListed && sender.Length > 0)
        {
            verdict = await _unlisted.CheckAsync(state, sender, isSender: true, _evaluator, cancellationToken);
        }

        state.Sender = saved;
        state.DeferAfterSender = state.DeferIfPermit;
        return verdict == Verdict.Reject ? state.Reply : null;
    }

    /// <summary>A recipient, after all that was delayed: the decision whether mail is taken.</summary>
    public async ValueTask<string?> CheckRecipientAsync(CheckState state, string recipient, CancellationToken cancellationToken)
    {
        // RFC 5321, 4.5.1: postmaster without a domain is always accepted.
        if (recipient.Equals("postmaster", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        string? saved = state.Recipient;
        state.Recipient = recipient;
        string? reply = _service.Options.DelayReject ? await CheckDelayedAsync(state, cancellationToken) : null;
        reply ??= await DecideRecipientAsync(state, recipient, cancellationToken);
        state.Recipient = saved;
        return reply;
    }

    /// <summary>DATA, before content.</summary>
    public ValueTask<string?> CheckDataAsync(CheckState state, CancellationToken cancellationToken) =>
        CheckOneAsync(RestrictionList.Data, state, "DATA", "Data command", cancellationToken);

    /// <summary>The end of data: the last word before the message is queued.</summary>
    public ValueTask<string?> CheckEndOfDataAsync(CheckState state, CancellationToken cancellationToken) =>
        CheckOneAsync(RestrictionList.EndOfData, state, "END-OF-MESSAGE", "End-of-data", cancellationToken);

    /// <summary>ETRN's argument.</summary>
    public async ValueTask<string?> CheckEtrnAsync(CheckState state, string domain, CancellationToken cancellationToken)
    {
        if (_service.Options.DelayReject)
        {
            if (await CheckClientAsync(state, cancellationToken) is { } client)
            {
                return client;
            }

            if (state.Helo is { } helo && await CheckHeloAsync(state, helo, cancellationToken) is { } refused)
            {
                return refused;
            }
        }

        return await CheckOneAsync(RestrictionList.Etrn, state, domain, "Etrn command", cancellationToken);
    }

    private async ValueTask<string?> CheckDelayedAsync(CheckState state, CancellationToken cancellationToken)
    {
        if (await CheckClientAsync(state, cancellationToken) is { } client)
        {
            return client;
        }

        if (state.Helo is { } helo && await CheckHeloAsync(state, helo, cancellationToken) is { } refused)
        {
            return refused;
        }

        return state.Sender is { } sender ? await CheckSenderAsync(state, sender, cancellationToken) : null;
    }

    private async ValueTask<string?> DecideRecipientAsync(CheckState state, string recipient, CancellationToken cancellationToken)
    {
        state.DeferIfPermit = state.Sender is null ? null : state.DeferAfterSender;
        state.DeferIfReject = null;
        state.RecipientWasListed = false;
        if (!_decidesRelaying)
        {
            _evaluator.ServerError(state, NoRelayDecision);
            return state.Reply;
        }

        RestrictionList first = _service.Options.RelayBeforeRecipient ? RestrictionList.Relay : RestrictionList.Recipient;
        RestrictionList second = first == RestrictionList.Relay ? RestrictionList.Recipient : RestrictionList.Relay;
        Verdict verdict = await RunAsync(first, state, recipient, "Recipient address", cancellationToken);
        if (verdict == Verdict.Reject && first == RestrictionList.Recipient)
        {
            _service.Reminders.RelayOrder(state, recipient);
        }

        if (verdict != Verdict.Reject && _service.Reminders.TriesRelayRestrictions
            && await _evaluator.IsRelayingStrangerAsync(state, recipient, cancellationToken))
        {
            CompatibilityReminders.RelayRestrictions(state, recipient);
        }

        if (verdict != Verdict.Reject)
        {
            verdict = await RunAsync(second, state, recipient, "Recipient address", cancellationToken);
        }

        if (verdict != Verdict.Reject && state.DeferIfPermit is { } doubt)
        {
            verdict = _evaluator.Reject(state, doubt.Code, doubt.Dsn, doubt.Text);
        }

        if (verdict != Verdict.Reject && _service.Options.RejectUnlistedRecipient && !state.RecipientWasListed && !state.Discard)
        {
            verdict = await _unlisted.CheckAsync(state, recipient, isSender: false, _evaluator, cancellationToken);
        }

        return verdict == Verdict.Reject ? state.Reply : null;
    }

    private async ValueTask<string?> CheckOneAsync(
        RestrictionList list, CheckState state, string name, string kind, CancellationToken cancellationToken)
    {
        if (_lists[list].Count == 0)
        {
            return null;
        }

        state.DeferIfPermit = state.DeferIfReject = null;
        Verdict verdict = await RunAsync(list, state, name, kind, cancellationToken);
        if (verdict != Verdict.Reject && state.DeferIfPermit is { } doubt)
        {
            verdict = _evaluator.Reject(state, doubt.Code, doubt.Dsn, doubt.Text);
        }

        return verdict == Verdict.Reject ? state.Reply : null;
    }

    private ValueTask<Verdict> RunAsync(RestrictionList list, CheckState state, string name, string kind, CancellationToken cancellationToken)
    {
        IReadOnlyList<Restriction> restrictions = _lists[list];
        return restrictions.Count == 0
            ? ValueTask.FromResult(Verdict.Dunno)
            : _evaluator.RunAsync(restrictions, StageOf(list), new Subject(name, kind), state, 0, cancellationToken);
    }

    // Postfix refuses to run a server that would relay for anybody; a session that began all the same refuses every recipient.
    private bool DecidesRelaying() => _lists[RestrictionList.Relay].Concat(_lists[RestrictionList.Recipient]).Any(static restriction =>
        restriction.Kind is RestrictionKind.RejectUnauthDestination or RestrictionKind.DeferUnauthDestination or RestrictionKind.Reject
            or RestrictionKind.Defer or RestrictionKind.DeferIfPermit);

    private static string ParameterOf(RestrictionList list) => list switch
    {
        RestrictionList.Client => "smtpd_client_restrictions",
        RestrictionList.Helo => "smtpd_helo_restrictions",
        RestrictionList.Sender => "smtpd_sender_restrictions",
        RestrictionList.Relay => "smtpd_relay_restrictions",
        RestrictionList.Recipient => "smtpd_recipient_restrictions",
        RestrictionList.Etrn => "smtpd_etrn_restrictions",
        RestrictionList.Data => "smtpd_data_restrictions",
        _ => "smtpd_end_of_data_restrictions",
    };

    private static RestrictionStage StageOf(RestrictionList list) => list switch
    {
        RestrictionList.Client => RestrictionStage.Client,
        RestrictionList.Helo => RestrictionStage.Helo,
        RestrictionList.Sender => RestrictionStage.Sender,
        RestrictionList.Relay or RestrictionList.Recipient => RestrictionStage.Recipient,
        RestrictionList.Etrn => RestrictionStage.Etrn,
        RestrictionList.Data => RestrictionStage.Data,
        _ => RestrictionStage.EndOfData,
    };

    private enum RestrictionList : byte
    {
        Client,
        Helo,
        Sender,
        Relay,
        Recipient,
        Etrn,
        Data,
        EndOfData,
    }
}

/// <summary>Whom or what a list judges, as replies name it: <c>&lt;Name&gt;: Kind rejected: ...</c>.</summary>
internal readonly record struct Subject(string Name, string Kind);
