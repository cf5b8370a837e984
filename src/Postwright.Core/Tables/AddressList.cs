using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Postwright.Core.Tables;

/// <summary>
/// A list of host names, addresses and address blocks, such as <c>mynetworks</c> and <c>debug_peer_list</c>. A table in the
/// list matches by any value, as in Postfix.
/// </summary>
[SuppressMessage("Naming", "CA1711", Justification = "The lists are what Postfix calls them.")]
public sealed class AddressList : MatchList
{
    private readonly bool _parents;

    private AddressList(TableRegistry registry, string title, string patterns, bool parents)
        : base(registry, title, patterns, fold: true) => _parents = parents;

    /// <summary>Opens the list.</summary>
    /// <param name="registry">Owner of the tables.</param>
    /// <param name="title">The parameter's name.</param>
    /// <param name="patterns">The parameter's value.</param>
    /// <param name="parentMatchesSubdomains">True when the parameter is in <c>parent_domain_matches_subdomains</c>.</param>
    public static AddressList Open(TableRegistry registry, string title, string patterns, bool parentMatchesSubdomains = false) =>
        new(registry, title, patterns, parentMatchesSubdomains);

    /// <summary>Is the client in the list?</summary>
    /// <param name="name">Its verified host name; <c>unknown</c> is a name like any other.</param>
    /// <param name="address">Its address in text, without brackets; empty when there is none.</param>
    /// <param name="cancellationToken">Ends the wait for a table.</param>
    public ValueTask<MatchResult> MatchAsync(string name, string address, CancellationToken cancellationToken = default) =>
        MatchAsync(new Client(TableText.Fold(name, Use), TableText.Fold(address, Use), AddressPattern.ParseAddress(address)), MatchesAsync, cancellationToken);

    private readonly record struct Client(string Name, string Text, IPAddress? Address);

    private async ValueTask<MatchResult> MatchesAsync(Client client, Pattern pattern, CancellationToken cancellationToken)
    {
        MatchResult result = await MatchDomainAsync(client.Name, pattern, _parents, cancellationToken);
        if (result != MatchResult.NoMatch || client.Text.Length == 0)
        {
            return result;
        }

        return pattern.Table is { } table
            ? await AskAsync(table, client.Text, cancellationToken)
            : MatchAddress(client, pattern.Text);
    }

    private MatchResult MatchAddress(Client client, string pattern)
    {
        if (client.Text == pattern)
        {
            return MatchResult.Match;
        }

        // A pattern that is neither bracketed nor a block is a host name, or an address that was compared already; one of
        // the other family says nothing about this client, be it well-formed or not.
        bool six = client.Text.Contains(':');
        if ((!pattern.StartsWith('[') && !pattern.Contains('/')) || six != pattern.Contains(':'))
        {
            return MatchResult.NoMatch;
        }

        if (!AddressPattern.TryParse(pattern, out AddressPattern block, out string error))
        {
            Warn(error);
            return MatchResult.TemporaryError;
        }

        return client.Address is { } address && block.Contains(address) ? MatchResult.Match : MatchResult.NoMatch;
    }
}
