using System.Collections.Concurrent;
using Postwright.Core.Logging;
using Postwright.Core.Tables;

namespace Postwright.Server.Route;

// trivial-rewrite(8)'s "resolve". An address is reduced first: while its domain is one of ours, the domain is taken off and
// routing instructions in what is left (user@there, there!user, user%there) are followed, so that no quoting trick makes a
// stranger's destination look local. Then the class of the domain gives a transport and a next hop, and transport_maps and
// relocated_maps may change them. A table that cannot answer makes the whole resolution a temporary error.

/// <summary>Resolves and classifies addresses; safe for any number of callers.</summary>
public sealed class AddressResolver : IAddressResolver, IAddressClassifier
{
    /// <summary>Local domains that one address may be wrapped in.</summary>
    private const int MaxReductions = 100;

    /// <summary>Domains whose class is remembered; lists without tables never change their mind.</summary>
    private const int CachedClasses = 10_000;

    private readonly ResolverOptions _options;
    private readonly AddressRewriter _rewriter;
    private readonly MailLog _log;
    private readonly TransportTable _transports;
    private readonly MailAddressFinder _relocated;
    private readonly ConcurrentDictionary<string, AddressClass>? _classes;

    /// <summary>Makes a resolver.</summary>
    /// <param name="options">Settings and open tables.</param>
    /// <param name="rewriter">Follows routing instructions.</param>
    /// <param name="log">For warnings about the configuration.</param>
    public AddressResolver(ResolverOptions options, AddressRewriter rewriter, MailLog log)
    {
        _options = options;
        _rewriter = rewriter;
        _log = log;
        _transports = new TransportTable(options, log);
        _relocated = new MailAddressFinder(options.RelocatedMaps, options.Finder with { IsLocalDomain = IsLocalAsync });
        bool isFixed = options.MyDestination.Tables.Count + options.VirtualAliasDomains.Tables.Count
            + options.VirtualMailboxDomains.Tables.Count + options.RelayDomains.Tables.Count == 0;
        _classes = isFixed ? new ConcurrentDictionary<string, AddressClass>(StringComparer.OrdinalIgnoreCase) : null;
    }

    /// <inheritdoc />
    public async ValueTask<Classification> ClassifyAsync(string address, CancellationToken cancellationToken)
    {
        Reduced reduced = await ReduceAsync(_rewriter.Rewrite(address), cancellationToken);
        return reduced.Status switch
        {
            ResolveStatus.TemporaryError => new Classification(ClassificationStatus.TemporaryError, default, address, false, reduced.Error),
            ResolveStatus.BadAddress => new Classification(ClassificationStatus.BadAddress, default, address),
            _ => new Classification(ClassificationStatus.Known, reduced.Class, reduced.Address, reduced.IsRouted),
        };
    }

    /// <inheritdoc />
    public async ValueTask<ResolvedAddress> ResolveAsync(string sender, string recipient, CancellationToken cancellationToken)
    {
        Reduced reduced = await ReduceAsync(recipient, cancellationToken);
        if (reduced.Status != ResolveStatus.Resolved)
        {
            return new ResolvedAddress(reduced.Status, reduced.Class, "", "", reduced.Address, reduced.IsRouted, reduced.Error);
        }

        Route route = await ByClassAsync(sender, reduced, cancellationToken);
        bool mayChange = route.Error is null && reduced.Class != AddressClass.VirtualAlias;
        route = mayChange ? await _transports.OverrideAsync(route, reduced.Address, reduced.Domain, cancellationToken) : route;
        route = route.Error is null ? await RelocateAsync(route, reduced.Address, cancellationToken) : route;
        return route.Error is null
            ? new ResolvedAddress(ResolveStatus.Resolved, reduced.Class, route.Transport, route.NextHop, reduced.Address, reduced.IsRouted)
            : new ResolvedAddress(ResolveStatus.TemporaryError, reduced.Class, "", "", reduced.Address, reduced.IsRouted, route.Error);
    }

    /// <inheritdoc />
    public ValueTask<ResolvedAddress> RouteAsync(string sender, string address, CancellationToken cancellationToken) =>
        ResolveAsync(_rewriter.Rewrite(sender), _rewriter.Rewrite(address), cancellationToken);

    private readonly record struct Reduced(
        ResolveStatus Status, AddressClass Class, string Address, string Domain, bool IsRouted = false, string? Error = null);

    private async ValueTask<Reduced> ReduceAsync(string address, CancellationToken cancellationToken)
    {
        string text = address;
        string? localDomain = null;
        for (int i = 0; i < MaxReductions; i++)
        {
            int at = text.LastIndexOf('@');
            if (at >= 0)
            {
                string domain = Tidy(text[(at + 1)..]);
                if (domain.Length == 0 && !_options.ResolveNullDomain && !text.AsSpan(0, at).Contains('@'))
                {
                    return new Reduced(ResolveStatus.BadAddress, default, address, "");
                }

                if (domain.Length > 0)
                {
                    (AddressClass known, string? error) = await ClassOfAsync(domain, cancellationToken);
                    if (error is not null)
                    {
                        return new Reduced(ResolveStatus.TemporaryError, default, address, domain, false, error);
                    }

                    if (known != AddressClass.Local)
                    {
                        return Remote(text[..at], domain, known);
                    }

                    localDomain = domain;
                }

                text = text[..at];
            }

            if (!IsInstruction(text))
            {
                break;
            }

            text = text.Contains('@') ? text : _rewriter.Rewrite(_rewriter.SwapOperators(text));
        }

        string local = text.Length == 0 ? _options.EmptyAddressRecipient : text;
        localDomain ??= _options.MyHostName;
        return new Reduced(ResolveStatus.Resolved, AddressClass.Local, local + "@" + localDomain, localDomain);
    }

    private Reduced Remote(string local, string domain, AddressClass known)
    {
        string address = local + "@" + domain;
        return new Reduced(MailDomain.IsValid(domain) ? ResolveStatus.Resolved : ResolveStatus.BadAddress, known, address, domain, IsInstruction(local));
    }

    /// <summary>Takes the last dot of a fully qualified name off, and brackets a bare address where that is configured.</summary>
    private string Tidy(string domain)
    {
        if (domain.Length > 1 && domain[^1] == '.' && domain[^2] != '.')
        {
            domain = domain[..^1];
        }

        return _options.ResolveNumericDomain && MailDomain.IsBareAddress(domain) ? "[" + domain + "]" : domain;
    }

    /// <summary>Does a local part say where to go on? What stood in quotes counts only with resolve_dequoted_address.</summary>
    private bool IsInstruction(string local)
    {
        bool wasQuoted = local.Contains('@') || AddressRewriter.NeedsQuotes(local);
        return (!wasQuoted || _options.ResolveDequotedAddress) && (local.Contains('@') || _rewriter.IsInstruction(local));
    }

    private async ValueTask<MatchResult> IsLocalAsync(string domain, CancellationToken cancellationToken)
    {
        MatchResult listed = await _options.MyDestination.MatchAsync(domain, cancellationToken);
        bool own = listed == MatchResult.NoMatch && MailDomain.TryLiteral(domain, out System.Net.IPAddress? address) && _options.OwnAddresses.Contains(address);
        return own ? MatchResult.Match : listed;
    }

    private async ValueTask<(AddressClass Class, string? Error)> ClassOfAsync(string domain, CancellationToken cancellationToken)
    {
        if (_classes is not null && _classes.TryGetValue(domain, out AddressClass known))
        {
            return (known, null);
        }

        (AddressClass Class, string? Error) answer = await AskClassAsync(domain, cancellationToken);
        if (_classes is not null && answer.Error is null)
        {
            if (_classes.Count >= CachedClasses)
            {
                _classes.Clear();
            }

            _classes[domain] = answer.Class;
        }

        return answer;
    }

    private async ValueTask<(AddressClass Class, string? Error)> AskClassAsync(string domain, CancellationToken cancellationToken)
    {
        MatchResult local = await IsLocalAsync(domain, cancellationToken);
        if (local != MatchResult.NoMatch)
        {
            return Answer(local, AddressClass.Local, "mydestination");
        }

        MatchResult alias = await _options.VirtualAliasDomains.MatchAsync(domain, cancellationToken);
        if (alias == MatchResult.TemporaryError)
        {
            return Answer(alias, default, "virtual_alias_domains");
        }

        MatchResult mailbox = await _options.VirtualMailboxDomains.MatchAsync(domain, cancellationToken);
        if (alias == MatchResult.Match)
        {
            if (mailbox == MatchResult.Match)
            {
                _log.Warning($"do not list domain {domain} in BOTH virtual_alias_domains and virtual_mailbox_domains");
            }

            return (AddressClass.VirtualAlias, null);
        }

        if (mailbox != MatchResult.NoMatch)
        {
            return Answer(mailbox, AddressClass.VirtualMailbox, "virtual_mailbox_domains");
        }

        MatchResult relay = await _options.RelayDomains.MatchAsync(domain, cancellationToken);
        return relay == MatchResult.NoMatch ? (AddressClass.Default, null) : Answer(relay, AddressClass.Relay, "relay_domains");
    }

    private static (AddressClass Class, string? Error) Answer(MatchResult match, AddressClass known, string parameter) =>
        match == MatchResult.Match ? (known, null) : (default, $"{parameter} lookup failure");

    private async ValueTask<Route> ByClassAsync(string sender, Reduced reduced, CancellationToken cancellationToken)
    {
        switch (reduced.Class)
        {
            case AddressClass.Local:
                return Route.Parse(_options.LocalTransport, reduced.Domain);
            case AddressClass.VirtualAlias:
                // cleanup replaced every address of the domain that virtual_alias_maps knows: this one is unknown.
                return new Route("error", "5.1.1 User unknown" + (_options.ShowTableName ? " in virtual alias table" : ""));
            case AddressClass.VirtualMailbox:
                return Route.Parse(_options.VirtualTransport, reduced.Domain);
            default:
                break;
        }

        string transport = reduced.Class == AddressClass.Relay ? _options.RelayTransport : _options.DefaultTransport;
        if (reduced.Class == AddressClass.Default)
        {
            LookupResult own = await BySenderAsync(_options.SenderDefaultTransports, sender, _options.EmptySenderDefaultTransportKey, cancellationToken);
            if (own.Status == LookupStatus.TemporaryError)
            {
                return Route.Failed(own.Error);
            }

            transport = own.Value ?? transport;
        }

        LookupResult relay = await BySenderAsync(_options.SenderRelayHosts, sender, _options.EmptySenderRelayHostKey, cancellationToken);
        if (relay.Status == LookupStatus.TemporaryError)
        {
            return Route.Failed(relay.Error);
        }

        string nextHop = relay.Value ?? (_options.RelayHost.Length > 0 ? _options.RelayHost : reduced.Domain);
        return Route.Parse(transport, nextHop);
    }

    private async ValueTask<LookupResult> BySenderAsync(MapList maps, string sender, string emptyKey, CancellationToken cancellationToken)
    {
        if (maps.IsEmpty)
        {
            return LookupResult.NotFound;
        }

        MailAddressFinder finder = new(maps, _options.Finder);
        LookupResult result = sender.Length == 0
            ? await maps.LookupAsync(emptyKey, cancellationToken)
            : (await finder.FindAsync(sender, AddressKeys.Full | AddressKeys.WithoutExtension | AddressKeys.AtDomain, cancellationToken)).Result;
        return result.IsFound && result.Value.Equals("DUNNO", StringComparison.OrdinalIgnoreCase) ? LookupResult.NotFound : result;
    }

    private async ValueTask<Route> RelocateAsync(Route route, string address, CancellationToken cancellationToken)
    {
        LookupResult moved = (await _relocated.FindAsync(address, AddressKeys.Rewriting, cancellationToken)).Result;
        return moved.Status switch
        {
            LookupStatus.TemporaryError => Route.Failed(moved.Error),
            LookupStatus.Found => new Route("error", _options.RelocatedPrefix ? "5.1.6 User has moved to " + moved.Value : moved.Value!),
            _ => route,
        };
    }
}
