using System.Collections.Frozen;
using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// Who may relay by address: mynetworks and this machine's own addresses; and, where the administrator asked for it, a table in
/// mynetworks that follows access(5) (mynetworks_table_access) and clients in relay_domains (relay_domains_match_client).
/// </summary>
internal sealed class NetworkChecks
{
    private readonly RestrictionEvaluator _evaluator;
    private readonly CompatibilityReminders _reminders;
    private readonly FrozenSet<IPAddress> _own;
    private readonly MapList? _networkTables;
    private readonly AddressList _networks;
    private readonly AccessKeyOptions _keys;
    private readonly DomainList? _relayDomains;
    private readonly int _rejectCode;

    public NetworkChecks(MailConfiguration configuration, SmtpdService service, RestrictionEvaluator evaluator)
    {
        _evaluator = evaluator;
        _reminders = service.Reminders;
        _own = service.Parts.OwnAddresses.ToFrozenSet();
        _rejectCode = configuration.GetInt("access_map_reject_code");
        _networks = service.MyNetworks;
        _keys = AccessTable.KeyOptions(configuration) with { LeadingDot = true, TrailingDot = true };
        if (configuration.GetBool("mynetworks_table_access") && service.MyNetworks.Tables.Count > 0)
        {
            _networkTables = MapList.Open(service.Parts.Tables, string.Join(' ', service.MyNetworks.Tables.Select(static table => table.Name)), "mynetworks");
            string[] patterns = [.. configuration.GetList("mynetworks").Where(static item => item.StartsWith('[') || !item.Contains(':', StringComparison.Ordinal))];
            _networks = AddressList.Open(
                service.Parts.Tables, "mynetworks", string.Join(' ', patterns), SmtpdService.MatchesSubdomains(configuration, "mynetworks"));
        }

        if (configuration.GetBool("relay_domains_match_client"))
        {
            _relayDomains = DomainList.Open(
                service.Parts.Tables, "relay_domains", configuration.GetString("relay_domains"), SmtpdService.MatchesSubdomains(configuration, "relay_domains"));
        }
    }

    /// <summary>permit_mynetworks; a list that cannot be asked defers.</summary>
    public async ValueTask<Verdict> PermitMyNetworksAsync(CheckState state, Subject subject, CancellationToken cancellationToken)
    {
        if (_networkTables is { } tables)
        {
            LookupResult result = await LookupAsync(tables, state.Client, cancellationToken);
            if (result.Status == LookupStatus.TemporaryError)
            {
                return Deferred(state, subject);
            }

            string action = result.Value?.TrimStart() ?? "DUNNO";
            if (action.StartsWith("REJECT", StringComparison.OrdinalIgnoreCase))
            {
                string text = action["REJECT".Length..].Trim();
                return _evaluator.Reject(
                    state, _rejectCode, "5.7.1", $"<{state.Client.NameAndAddress}>: Client host rejected: {(text.Length > 0 ? text : "Access denied")}");
            }

            if (action.StartsWith("OK", StringComparison.OrdinalIgnoreCase) || action.StartsWith("RELAY", StringComparison.OrdinalIgnoreCase))
            {
                return Verdict.Permit;
            }
        }

        MatchResult match = state.InMyNetworks ?? await _networks.MatchAsync(state.Client.Name, state.Client.Address, cancellationToken);
        if (match == MatchResult.TemporaryError)
        {
            return Deferred(state, subject);
        }

        state.InMyNetworks = match;
        if (match != MatchResult.Match)
        {
            return Verdict.Dunno;
        }

        if (!IsOwnAddress(state.Client))
        {
            _reminders.Network(state);
        }

        return Verdict.Permit;
    }

    /// <summary>True for a client that connects from an address of this machine.</summary>
    public bool IsOwnAddress(SmtpdClient client) => client.IpAddress is { } address && _own.Contains(address);

    /// <summary>relay_domains_match_client: never for a name that was not verified.</summary>
    public async ValueTask<MatchResult> MatchesRelayDomainsAsync(SmtpdClient client, CancellationToken cancellationToken) =>
        _relayDomains is not null && client.NameStatus == NameStatus.Ok && client.Name != "unknown"
            ? await _relayDomains.MatchAsync(client.Name, cancellationToken)
            : MatchResult.NoMatch;

    private async ValueTask<LookupResult> LookupAsync(MapList tables, SmtpdClient client, CancellationToken cancellationToken)
    {
        if (client.NameStatus == NameStatus.Ok && client.Name != "unknown")
        {
            LookupResult byName = (await AccessKeys.LookupAsync(tables, AccessKeys.ForHostName(client.Name, _keys), cancellationToken)).Result;
            if (byName.Status != LookupStatus.NotFound)
            {
                return byName;
            }
        }

        return (await AccessKeys.LookupAsync(tables, AccessKeys.ForAddress(client.Address, _keys), cancellationToken)).Result;
    }

    private Verdict Deferred(CheckState state, Subject subject) =>
        _evaluator.Reject(state, 451, "4.3.0", $"<{subject.Name}>: Temporary lookup failure");
}
