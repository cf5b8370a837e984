namespace Postwright.Core.Tables;

/// <summary>A key to look up.</summary>
/// <param name="Text">The key.</param>
/// <param name="Partial">True for all but the whole name or address: see <see cref="MapList.LookupAsync(string, bool, CancellationToken)"/>.</param>
public readonly record struct AccessKey(string Text, bool Partial);

/// <summary>How access(5) keys are made.</summary>
public sealed record AccessKeyOptions
{
    /// <summary><c>smtpd_access_maps</c> is in <c>parent_domain_matches_subdomains</c>: parents are tried bare, else with a leading dot.</summary>
    public bool ParentMatchesSubdomains { get; init; } = true;

    /// <summary><c>access_leading_dot</c>: <c>.domain</c> keys count in either case, after the bare ones. Off in Postfix.</summary>
    public bool LeadingDot { get; init; }

    /// <summary><c>access_trailing_dot</c>: address prefixes with a dot at the end (<c>192.168.2.</c>) count too. Off in Postfix.</summary>
    public bool TrailingDot { get; init; }

    /// <summary>The keys of mail addresses for <see cref="MailAddressFinder"/>, with the parent style of these options.</summary>
    public AddressKeys MailAddressKeys =>
        AddressKeys.Access | (ParentMatchesSubdomains ? AddressKeys.ParentDomains : AddressKeys.DotParentDomains);
}

// The order of access(5) keys for host names and addresses; that for mail addresses is MailAddressFinder's with
// AccessKeyOptions.MailAddressKeys. Each key goes to all tables before the next. The two textbook options add keys and never
// take one away.

/// <summary>Keys of access(5) tables, in the order in which they are tried.</summary>
public static class AccessKeys
{
    /// <summary>The name, then its parents; a name that is an address has no parents.</summary>
    public static IEnumerable<AccessKey> ForHostName(string name, AccessKeyOptions options)
    {
        bool numeric = AddressPattern.ParseAddress(name) is not null;
        bool dotted = !options.ParentMatchesSubdomains && !numeric;
        bool bare = options.ParentMatchesSubdomains && !numeric;
        foreach (string key in DomainAndParents(name, dotted, bare, options.LeadingDot && !numeric))
        {
            yield return new AccessKey(key, key.Length != name.Length);
        }
    }

    /// <summary>The address, then what is left of it after each <c>.</c> (or <c>:</c>) from the right.</summary>
    public static IEnumerable<AccessKey> ForAddress(string address, AccessKeyOptions options)
    {
        yield return new AccessKey(address, false);
        char delimiter = address.Contains(':') ? ':' : '.';
        for (int cut = address.LastIndexOf(delimiter); cut > 0; cut = address.LastIndexOf(delimiter, cut - 1))
        {
            yield return new AccessKey(address[..cut], true);
            if (options.TrailingDot && delimiter == '.')
            {
                yield return new AccessKey(address[..(cut + 1)], true);
            }
        }
    }

    /// <summary>Tries the keys in order; the first found value or error, and the key it came with.</summary>
    public static async ValueTask<(LookupResult Result, string? Key)> LookupAsync(
        MapList maps, IEnumerable<AccessKey> keys, CancellationToken cancellationToken = default)
    {
        foreach (AccessKey key in keys)
        {
            LookupResult result = await maps.LookupAsync(key.Text, key.Partial, cancellationToken);
            if (result.Status != LookupStatus.NotFound)
            {
                return (result, key.Text);
            }
        }

        return default;
    }

    /// <summary>A domain and its parents in the styles asked for; <paramref name="both"/> adds the dotted form after the bare one.</summary>
    internal static IEnumerable<string> DomainAndParents(string domain, bool dotted, bool bare, bool both)
    {
        if (domain.Length == 0)
        {
            yield break;
        }

        yield return domain;
        for (int dot = domain.IndexOf('.', 1 % domain.Length); dot >= 0 && dot + 1 < domain.Length; dot = domain.IndexOf('.', dot + 1))
        {
            if (bare)
            {
                yield return domain[(dot + 1)..];
            }

            if (dotted || both)
            {
                yield return domain[dot..];
            }
        }
    }
}
