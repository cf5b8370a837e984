using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// reject_unlisted_recipient and reject_unlisted_sender: an address in a domain of ours must be in the list of that domain's
/// class (local_recipient_maps, virtual_alias_maps, virtual_mailbox_maps, relay_recipient_maps). An empty list accepts all.
/// What routing sends to <c>error</c> or <c>retry</c>, in any domain, is refused with the text that stands there.
/// </summary>
internal sealed class UnlistedCheck
{
    private readonly SmtpdService _service;
    private readonly MailAddressFinder _aliases;
    private readonly ClassList _local;
    private readonly ClassList _virtualMailbox;
    private readonly ClassList _relay;
    private readonly int _virtualAliasCode;
    private readonly string _doubleBounce;
    private readonly bool _showsTable;

    public UnlistedCheck(MailConfiguration configuration, SmtpdService service)
    {
        _service = service;
        _doubleBounce = configuration.GetString("double_bounce_sender");
        _showsTable = configuration.GetBool("show_user_unknown_table_name");
        string origin = configuration.GetString("myorigin");
        AddressFinderOptions options = new()
        {
            RecipientDelimiter = configuration.GetString("recipient_delimiter"),
            DoubleBounceSender = _doubleBounce,
            OwnerRequestSpecial = configuration.GetBool("owner_request_special"),
            IsLocalDomain = (domain, token) => LocalDomains.MatchAsync(domain, origin, service.Parts.Classifier, token),
        };
        FinderOptions = options;
        _aliases = new MailAddressFinder(Open("virtual_alias_maps"), options);
        _local = new ClassList(Open("local_recipient_maps"), options, configuration.GetInt("unknown_local_recipient_reject_code"), " in local recipient table");
        _virtualAliasCode = configuration.GetInt("unknown_virtual_alias_reject_code");
        _virtualMailbox = new ClassList(Open("virtual_mailbox_maps"), options, configuration.GetInt("unknown_virtual_mailbox_reject_code"), " in virtual mailbox table");
        _relay = new ClassList(Open("relay_recipient_maps"), options, configuration.GetInt("unknown_relay_recipient_reject_code"), " in relay recipient table");

        MapList Open(string parameter) => MapList.Open(service.Parts.Tables, configuration.GetString(parameter), parameter);
    }

    /// <summary>How address tables are searched in this configuration.</summary>
    public AddressFinderOptions FinderOptions { get; }

    /// <summary>Judges an address; marks the state so that the implicit check at the end is not made twice.</summary>
    public async ValueTask<Verdict> CheckAsync(
        CheckState state, string address, bool isSender, RestrictionEvaluator evaluator, CancellationToken cancellationToken)
    {
        if (isSender)
        {
            state.SenderWasListed |= !state.WarnsOnly;
        }
        else
        {
            state.RecipientWasListed |= !state.WarnsOnly;
        }

        if (_service.Parts.SkipsUnknownRecipientChecks || address.Length == 0)
        {
            return Verdict.Dunno;
        }

        ResolvedAddress found = await _service.Parts.Classifier.RouteAsync((isSender ? state.Recipient : state.Sender) ?? "", address, cancellationToken);
        if (found.Status == ResolveStatus.TemporaryError)
        {
            return evaluator.LookupFailure(state, address, found.Error);
        }

        if (found.Class == AddressClass.Relay)
        {
            _service.Reminders.RelayAddress(state, address);
        }

        // An unknown user of a virtual alias domain is one of these.
        bool isUndeliverable = found.Transport is "error" or "retry";
        ClassList? list = isUndeliverable ? null : ListOf(found);
        if (!isUndeliverable && (list is null || list.Maps.IsEmpty))
        {
            return Verdict.Dunno;
        }

        // What an alias turns into something else is listed, whatever its class.
        LookupResult result = (await _aliases.FindAsync(found.Address, AddressKeys.Rewriting, cancellationToken)).Result;
        if (result.Status == LookupStatus.NotFound && list is not null)
        {
            result = (await list.Finder.FindAsync(found.Address, AddressKeys.Rewriting, cancellationToken)).Result;
        }

        if (result.Status == LookupStatus.TemporaryError)
        {
            return evaluator.LookupFailure(state, address, result.Error);
        }

        if (result.IsFound)
        {
            return Verdict.Dunno;
        }

        return list is null
            ? RejectUndeliverable(state, address, found, isSender, evaluator)
            : evaluator.Reject(state, list.Code, isSender ? "5.1.0" : "5.1.1", Rejection(address, isSender, $"User unknown{(_showsTable ? list.TableName : "")}"));
    }

    private Verdict RejectUndeliverable(CheckState state, string address, ResolvedAddress found, bool isSender, RestrictionEvaluator evaluator)
    {
        (string dsn, string text) = EnhancedStatus.Split(found.NextHop, isSender ? "5.1.0" : "5.1.1");
        int code = found.Transport == "retry" ? 450 : found.Class == AddressClass.VirtualAlias ? _virtualAliasCode : 550;
        return evaluator.Reject(state, code, isSender ? FittingStatus.ForSender(dsn) : FittingStatus.ForRecipient(dsn), Rejection(address, isSender, text));
    }

    private static string Rejection(string address, bool isSender, string why) => $"<{address}>: {(isSender ? "Sender" : "Recipient")} address rejected: {why}";

    private ClassList? ListOf(ResolvedAddress found) => found.Class switch
    {
        AddressClass.Local => IsServiceAddress(found.Address) ? null : _local,
        AddressClass.VirtualMailbox => _virtualMailbox,
        AddressClass.Relay => _relay,
        _ => null,
    };

    // Taken by the system itself, in no table.
    private bool IsServiceAddress(string address)
    {
        int at = AddressText.AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        return local.Equals("postmaster", StringComparison.OrdinalIgnoreCase)
            || local.Equals("mailer-daemon", StringComparison.OrdinalIgnoreCase)
            || local.Equals(_doubleBounce, StringComparison.OrdinalIgnoreCase);
    }

    private sealed record ClassList(MapList Maps, AddressFinderOptions Options, int Code, string TableName)
    {
        public MailAddressFinder Finder { get; } = new(Maps, Options);
    }
}
