using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Protocol.Mail;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// reject_unlisted_recipient and reject_unlisted_sender: an address in a domain of ours must be in the list of that domain's
/// class (local_recipient_maps, virtual_alias_maps, virtual_mailbox_maps, relay_recipient_maps). An empty list accepts all.
/// </summary>
internal sealed class UnlistedCheck
{
    private readonly SmtpdService _service;
    private readonly MailAddressFinder _aliases;
    private readonly ClassList _local;
    private readonly ClassList _virtualAlias;
    private readonly ClassList _virtualMailbox;
    private readonly ClassList _relay;
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
        MapList aliases = Open("virtual_alias_maps");
        _aliases = new MailAddressFinder(aliases, options);
        _local = new ClassList(Open("local_recipient_maps"), options, configuration.GetInt("unknown_local_recipient_reject_code"), " in local recipient table");
        _virtualAlias = new ClassList(aliases, options, configuration.GetInt("unknown_virtual_alias_reject_code"), " in virtual alias table", AlwaysAsked: true);
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

        Classification found = await _service.Parts.Classifier.ClassifyAsync(address, cancellationToken);
        if (found.Status == ClassificationStatus.TemporaryError)
        {
            return evaluator.LookupFailure(state, address, found.Error);
        }

        ClassList? list = found.Class switch
        {
            AddressClass.Local => IsServiceAddress(found.Address) ? null : _local,
            AddressClass.VirtualAlias => _virtualAlias,
            AddressClass.VirtualMailbox => _virtualMailbox,
            AddressClass.Relay => _relay,
            _ => null,
        };
        if (list is null || (list.Maps.IsEmpty && !list.AlwaysAsked))
        {
            return Verdict.Dunno;
        }

        // What an alias turns into something else is listed, whatever its class.
        LookupResult result = (await _aliases.FindAsync(found.Address, AddressKeys.Rewriting, cancellationToken)).Result;
        if (result.Status == LookupStatus.NotFound && list != _virtualAlias)
        {
            result = (await list.Finder.FindAsync(found.Address, AddressKeys.Rewriting, cancellationToken)).Result;
        }

        if (result.Status == LookupStatus.TemporaryError)
        {
            return evaluator.LookupFailure(state, address, result.Error);
        }

        return result.IsFound
            ? Verdict.Dunno
            : evaluator.Reject(
                state,
                list.Code,
                isSender ? "5.1.0" : "5.1.1",
                $"<{address}>: {(isSender ? "Sender" : "Recipient")} address rejected: User unknown{(_showsTable ? list.TableName : "")}");
    }

    // Taken by the system itself, in no table.
    private bool IsServiceAddress(string address)
    {
        int at = AddressText.AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        return local.Equals("postmaster", StringComparison.OrdinalIgnoreCase)
            || local.Equals("mailer-daemon", StringComparison.OrdinalIgnoreCase)
            || local.Equals(_doubleBounce, StringComparison.OrdinalIgnoreCase);
    }

    private sealed record ClassList(MapList Maps, AddressFinderOptions Options, int Code, string TableName, bool AlwaysAsked = false)
    {
        public MailAddressFinder Finder { get; } = new(Maps, Options);
    }
}
