using System.Diagnostics.CodeAnalysis;

namespace Postwright.Core.Tables;

/// <summary>A list of domains, such as <c>mydestination</c> and <c>relay_domains</c>.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "The lists are what Postfix calls them.")]
public sealed class DomainList : MatchList
{
    private readonly bool _parents;

    private DomainList(TableRegistry registry, string title, string patterns, bool parents)
        : base(registry, title, patterns, fold: true) => _parents = parents;

    /// <summary>Opens the list.</summary>
    /// <param name="registry">Owner of the tables.</param>
    /// <param name="title">The parameter's name.</param>
    /// <param name="patterns">The parameter's value.</param>
    /// <param name="parentMatchesSubdomains">
    /// True when the parameter is in <c>parent_domain_matches_subdomains</c>: <c>example.com</c> matches its subdomains too.
    /// False: only <c>.example.com</c> matches subdomains (and not the domain itself).
    /// </param>
    public static DomainList Open(TableRegistry registry, string title, string patterns, bool parentMatchesSubdomains = false) =>
        new(registry, title, patterns, parentMatchesSubdomains);

    /// <summary>Is <paramref name="domain"/> in the list?</summary>
    public ValueTask<MatchResult> MatchAsync(string domain, CancellationToken cancellationToken = default) =>
        MatchAsync(TableText.Fold(domain, Use), MatchesAsync, cancellationToken);

    private ValueTask<MatchResult> MatchesAsync(string domain, Pattern pattern, CancellationToken cancellationToken) =>
        MatchDomainAsync(domain, pattern, _parents, cancellationToken);
}
