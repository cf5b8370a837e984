using Postwright.Core.Logging;
using Postwright.Core.Tables;

namespace Postwright.Server.Route;

/// <summary>A transport and a next hop, or what went wrong when a table was asked for them.</summary>
internal readonly record struct Route(string Transport, string NextHop, string? Error = null)
{
    /// <summary>Reads <c>transport:nexthop</c>; without a next hop the given one counts.</summary>
    public static Route Parse(string text, string nextHop)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? new Route(text, nextHop)
            : new Route(text[..colon], colon + 1 < text.Length ? text[(colon + 1)..] : nextHop);
    }

    /// <summary>A table could not be asked.</summary>
    public static Route Failed(string? error) => new("", "", error ?? "table lookup failure");
}

/// <summary>transport_maps (transport(5)).</summary>
internal sealed class TransportTable(ResolverOptions options, MailLog log)
{
    private readonly MailAddressFinder _finder = new(options.TransportMaps, options.Finder);
    private readonly AddressKeys _keys =
        AddressKeys.Transport | (options.TransportParentMatches ? AddressKeys.ParentDomains : AddressKeys.DotParentDomains);

    /// <summary>Changes <paramref name="route"/> as the entry for <paramref name="address"/> says, if there is one.</summary>
    public async ValueTask<Route> OverrideAsync(Route route, string address, string domain, CancellationToken cancellationToken)
    {
        if (options.TransportMaps.IsEmpty)
        {
            return route;
        }

        LookupResult result = (await _finder.FindAsync(address, _keys, cancellationToken)).Result;
        if (result.Status == LookupStatus.NotFound)
        {
            result = await options.TransportMaps.LookupAsync("*", partial: true, cancellationToken);
        }

        return result.Status switch
        {
            LookupStatus.TemporaryError => Route.Failed(result.Error),
            LookupStatus.Found => Apply(route, result.Value!.Trim(), domain),
            _ => route,
        };
    }

    /// <summary>
    /// <c>transport:</c> resets the next hop to the recipient's domain, <c>:nexthop</c> keeps the transport, <c>:</c>
    /// changes nothing.
    /// </summary>
    private Route Apply(Route route, string entry, string domain)
    {
        int colon = entry.IndexOf(':', StringComparison.Ordinal);
        string transport = colon < 0 ? entry : entry[..colon];
        string nextHop = colon < 0 ? "" : entry[(colon + 1)..];
        if (transport.AsSpan().ContainsAny(" \t/"))
        {
            log.Warning($"bad transport_maps entry \"{entry}\"");
            return Route.Failed($"bad transport_maps entry \"{entry}\"");
        }

        if (transport.Length == 0)
        {
            return nextHop.Length == 0 ? route : route with { NextHop = nextHop };
        }

        string fallback = transport is "error" or "retry" ? "Address is undeliverable" : domain;
        return new Route(transport, nextHop.Length == 0 ? fallback : nextHop);
    }
}
