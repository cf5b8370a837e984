using System.Globalization;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// access(5): looks client, HELO name, sender or recipient up in the order of that page, and does what the table says.
/// An action that is not there yet is the server error, a table that cannot be asked is 451: neither lets anything through.
/// </summary>
internal sealed class AccessTable
{
    private const string Sender = "Sender address";
    private const string Recipient = "Recipient address";

    private readonly RestrictionEvaluator _evaluator;
    private readonly AddressFinderOptions _finderOptions;
    private readonly AccessKeyOptions _keys;
    private readonly string _nullSenderKey;
    private readonly int _rejectCode;
    private readonly int _deferCode;

    public AccessTable(MailConfiguration configuration, RestrictionEvaluator evaluator, AddressFinderOptions finderOptions)
    {
        _evaluator = evaluator;
        _keys = KeyOptions(configuration);
        _finderOptions = finderOptions with { TryDottedParentsToo = _keys.LeadingDot };
        _nullSenderKey = configuration.GetString("smtpd_null_access_lookup_key");
        _rejectCode = configuration.GetInt("access_map_reject_code");
        _deferCode = configuration.GetInt("access_map_defer_code");
    }

    /// <summary>How keys are made in a configuration.</summary>
    public static AccessKeyOptions KeyOptions(MailConfiguration configuration) => new()
    {
        ParentMatchesSubdomains = SmtpdService.MatchesSubdomains(configuration, "smtpd_access_maps"),
        LeadingDot = configuration.GetBool("access_leading_dot"),
        TrailingDot = configuration.GetBool("access_trailing_dot"),
    };

    public async ValueTask<Verdict> CheckClientAsync(MapList maps, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken)
    {
        Subject subject = new(state.Client.NameAndAddress, "Client host");
        (LookupResult result, string? key) = await AccessKeys.LookupAsync(maps, AccessKeys.ForHostName(state.Client.Name, _keys), cancellationToken);
        if (result.Status == LookupStatus.NotFound)
        {
            (result, key) = await AccessKeys.LookupAsync(maps, AccessKeys.ForAddress(state.Client.Address, _keys), cancellationToken);
        }

        return await ActAsync(maps, result, key, subject, state, stage, depth, cancellationToken);
    }

    public async ValueTask<Verdict> CheckHeloAsync(MapList maps, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken)
    {
        if (state.Helo is not { } helo)
        {
            return Verdict.Dunno;
        }

        (LookupResult result, string? key) = await AccessKeys.LookupAsync(maps, AccessKeys.ForHostName(helo, _keys), cancellationToken);
        return await ActAsync(maps, result, key, new Subject(helo, "Helo command"), state, stage, depth, cancellationToken);
    }

    public ValueTask<Verdict> CheckSenderAsync(MapList maps, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken) =>
        state.Sender is { } sender
            ? CheckAddressAsync(maps, sender, Sender, state, stage, depth, cancellationToken)
            : ValueTask.FromResult(Verdict.Dunno);

    public ValueTask<Verdict> CheckRecipientAsync(MapList maps, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken) =>
        state.Recipient is { } recipient
            ? CheckAddressAsync(maps, recipient, Recipient, state, stage, depth, cancellationToken)
            : ValueTask.FromResult(Verdict.Dunno);

    private async ValueTask<Verdict> CheckAddressAsync(
        MapList maps, string address, string kind, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken)
    {
        LookupResult result;
        string? key;
        if (address.Length == 0)
        {
            result = await maps.LookupAsync(_nullSenderKey, cancellationToken);
            key = _nullSenderKey;
        }
        else
        {
            AddressMatch match = await new MailAddressFinder(maps, _finderOptions).FindAsync(address, _keys.MailAddressKeys, cancellationToken);
            (result, key) = (match.Result, match.Key);
        }

        return await ActAsync(maps, result, key, new Subject(address, kind), state, stage, depth, cancellationToken);
    }

    private async ValueTask<Verdict> ActAsync(
        MapList maps, LookupResult result, string? key, Subject subject, CheckState state, RestrictionStage stage, int depth, CancellationToken cancellationToken)
    {
        if (result.Status == LookupStatus.NotFound)
        {
            return Verdict.Dunno;
        }

        string title = maps.Tables.Count == 1 ? maps.Tables[0].Name : maps.Title;
        if (result.Status == LookupStatus.TemporaryError)
        {
            state.Log.Warning($"{title}: table lookup problem");
            return Rejected(state, subject, 451, "4.3.5", "Server configuration error");
        }

        string value = result.Value!.Trim();
        int blank = value.AsSpan().IndexOfAny(" \t,");
        string action = blank < 0 ? value : value[..blank];
        string text = blank < 0 ? "" : value[(blank + 1)..].Trim();
        if (value.Length == 0)
        {
            state.Log.Warning($"access table {title} entry {key} has empty value");
            return Verdict.Permit;
        }

        if (IsReplyCode(action, out int code))
        {
            (string dsn, string reason) = EnhancedStatus.Split(text, code < 500 ? "4.7.1" : "5.7.1");
            return Rejected(state, subject, code, dsn, reason);
        }

        switch (action.ToUpperInvariant())
        {
            case "OK" or "RELAY":
                return Verdict.Permit;
            case "DUNNO":
                return Verdict.Dunno;
            case "REJECT":
                (string rejectDsn, string rejectText) = EnhancedStatus.Split(text, "5.7.1");
                return Rejected(state, subject, _rejectCode, rejectDsn, rejectText);
            case "DEFER":
                (string deferDsn, string deferText) = EnhancedStatus.Split(text, "4.7.1");
                return Rejected(state, subject, _deferCode, deferDsn, deferText);
            case "DEFER_IF_PERMIT":
                state.DeferIfPermit ??= Doubt(subject, text);
                return Verdict.Dunno;
            case "DEFER_IF_REJECT":
                state.DeferIfReject ??= Doubt(subject, text);
                return Verdict.Dunno;
            case "WARN" or "INFO":
                state.LogEvent(action.ToLowerInvariant(), Told(subject, text, $"triggers {action.ToUpperInvariant()}"));
                return Verdict.Dunno;
            case "HOLD":
                state.LogEvent("hold", Told(subject, text, "triggers HOLD action"));
                state.Hold |= !state.WarnsOnly;
                return Verdict.Dunno;
            case "DISCARD":
                state.LogEvent("discard", Told(subject, text, "triggers DISCARD action"));
                state.Discard |= !state.WarnsOnly;
                return state.WarnsOnly ? Verdict.Dunno : Verdict.Permit;
            case "HANGUP":
                state.LogEvent("hangup", Told(subject, text, "triggers HANGUP action"));
                state.HangUp = true;
                return Rejected(state, subject, 521, "5.7.1", text);
            case "FILTER" or "REDIRECT" or "BCC" or "PREPEND":
                return _evaluator.ServerError(state, $"access table {title}: action {action.ToUpperInvariant()} is unavailable");
            default:
                break;
        }

        if (action.AsSpan().TrimStart("0123456789").IsEmpty)
        {
            return Verdict.Permit;
        }

        IReadOnlyList<string> words = ConfigurationList.Split(value);
        return words.Any(static word => word.Contains(':', StringComparison.Ordinal))
            ? _evaluator.ServerError(state, $"access table {title} has entry with lookup table: {value}")
            : await _evaluator.RunTextAsync(words, title, stage, subject, state, depth, cancellationToken);
    }

    private Verdict Rejected(CheckState state, Subject subject, int code, string dsn, string text) =>
        _evaluator.Reject(state, code, Fitting(dsn, subject), $"<{subject.Name}>: {subject.Kind} rejected: {(text.Length > 0 ? text : "Access denied")}");

    private static string Fitting(string dsn, Subject subject) => subject.Kind switch
    {
        Sender => FittingStatus.ForSender(dsn),
        Recipient => FittingStatus.ForRecipient(dsn),
        _ => FittingStatus.ForClient(dsn),
    };

    private static Refusal Doubt(Subject subject, string text)
    {
        (string dsn, string reason) = EnhancedStatus.Split(text, "4.7.1");
        return new Refusal(450, Fitting(dsn, subject), $"<{subject.Name}>: {subject.Kind} rejected: {(reason.Length > 0 ? reason : "Service unavailable")}");
    }

    private static string Told(Subject subject, string text, string fallback) => $"<{subject.Name}>: {subject.Kind} {(text.Length > 0 ? text : fallback)}";

    private static bool IsReplyCode(string action, out int code)
    {
        code = 0;
        return action.Length == 3 && action[0] is '4' or '5' && int.TryParse(action, NumberStyles.None, CultureInfo.InvariantCulture, out code);
    }
}
