using System.Collections.Frozen;
using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// local_header_rewrite_clients: whose mail has its headers completed (Date, Message-Id, From, and addresses without a domain)
/// as if it had been written here.
/// </summary>
internal sealed class LocalClients
{
    private readonly SmtpdService _service;
    private readonly FrozenSet<IPAddress> _own;
    private readonly bool _ownAddresses;
    private readonly bool _myNetworks;
    private readonly MapList _tables;

    public LocalClients(MailConfiguration configuration, SmtpdService service)
    {
        _service = service;
        IReadOnlyList<string> words = configuration.GetList("local_header_rewrite_clients");
        _ownAddresses = words.Contains("permit_inet_interfaces", StringComparer.OrdinalIgnoreCase);
        _myNetworks = words.Contains("permit_mynetworks", StringComparer.OrdinalIgnoreCase);
        _own = service.Parts.OwnAddresses.ToFrozenSet();
        IEnumerable<string> tables = words.Where(static word => word.Contains(':', StringComparison.Ordinal));
        _tables = MapList.Open(service.Parts.Tables, string.Join(' ', tables), "local_header_rewrite_clients");
    }

    /// <summary>True for such a client. A table that cannot be asked leaves headers as they are.</summary>
    public async ValueTask<bool> ContainsAsync(SmtpdClient client, CancellationToken cancellationToken)
    {
        if (_ownAddresses && client.IpAddress is { } address && _own.Contains(address))
        {
            return true;
        }

        if (_myNetworks && await _service.MyNetworks.MatchAsync(client.Name, client.Address, cancellationToken) == MatchResult.Match)
        {
            return true;
        }

        return !_tables.IsEmpty
            && ((await _tables.LookupAsync(client.Name, cancellationToken)).IsFound || (await _tables.LookupAsync(client.Address, cancellationToken)).IsFound);
    }
}
