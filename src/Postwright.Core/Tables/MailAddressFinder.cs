using Postwright.Protocol.Mail;
namespace Postwright.Core.Tables;

/// <summary>Which keys of an address are tried; each use of address tables has its own set.</summary>
[Flags]
public enum AddressKeys
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>user+ext@domain.</summary>
    Full = 1,

    /// <summary>Each form without the extension too.</summary>
    WithoutExtension = 2,

    /// <summary>user+ext and user, when the domain is local.</summary>
    LocalPartIfLocal = 4,

    /// <summary>user+ext@ and user@, when the domain is local.</summary>
    LocalPartAtIfLocal = 8,

    /// <summary>@domain.</summary>
    AtDomain = 16,

    /// <summary>domain.</summary>
    Domain = 32,

    /// <summary>After the domain its parents, as <c>parent</c>.</summary>
    ParentDomains = 64,

    /// <summary>After the domain its parents, as <c>.parent</c>.</summary>
    DotParentDomains = 128,

    /// <summary>user+ext@ and user@, whatever the domain.</summary>
    LocalPartAt = 256,

    /// <summary>virtual(5), canonical(5), relocated(5), generic(5): the addresses, the user of a local domain, @domain.</summary>
    Rewriting = Full | WithoutExtension | LocalPartIfLocal | AtDomain,

    /// <summary>access(5), without the parents: add one of the two parent styles.</summary>
    Access = Full | WithoutExtension | Domain | LocalPartAt,

    /// <summary>transport(5), without the parents and the <c>*</c>, which is the caller's last key.</summary>
    Transport = Full | WithoutExtension | Domain,
}

/// <summary>What a finder needs to know of the configuration.</summary>
public sealed record AddressFinderOptions
{
    /// <summary><c>recipient_delimiter</c>: any of these characters begins an extension.</summary>
    public string RecipientDelimiter { get; init; } = "";

    /// <summary><c>double_bounce_sender</c>, which is never split.</summary>
    public string DoubleBounceSender { get; init; } = "double-bounce";

    /// <summary><c>owner_request_special</c>: owner-x and x-request are not split at a <c>-</c>.</summary>
    public bool OwnerRequestSpecial { get; init; } = true;

    /// <summary>Says whether a domain is $myorigin, in $mydestination or one of this machine's addresses in brackets. Without it no domain is local.</summary>
    public Func<string, CancellationToken, ValueTask<MatchResult>>? IsLocalDomain { get; init; }

    /// <summary><c>access_leading_dot</c>: parents are tried in the dotted form as well as the bare one. Off in Postfix.</summary>
    public bool TryDottedParentsToo { get; init; }
}

/// <summary>A finder's answer.</summary>
/// <param name="Result">What the tables say; a found value is as it stands in the table.</param>
/// <param name="Extension">The extension with its delimiter (<c>+ext</c>) that the matching key lacked, else null.</param>
/// <param name="Key">The key that was found, else null.</param>
public readonly record struct AddressMatch(LookupResult Result, string? Extension, string? Key);

// The order of keys for mail addresses (address_find): user+ext@dom, user@dom, user+ext, user, @dom or dom and its parents.
// Keys are tried in quoted form first and, where that differs, as they are. All but the first key are partial: tables that
// see whole keys only are not asked with them. An error anywhere ends the search.

/// <summary>Finds an address in a list of tables.</summary>
public sealed class MailAddressFinder(MapList maps, AddressFinderOptions options)
{
    /// <summary>Finds <paramref name="address"/>, in internal (unquoted) form.</summary>
    public async ValueTask<AddressMatch> FindAsync(string address, AddressKeys keys, CancellationToken cancellationToken = default)
    {
        if (maps.IsEmpty || address.Length == 0)
        {
            return default;
        }

        var search = new Search(maps, options, address, keys, cancellationToken);
        await search.RunAsync();
        return search.Answer;
    }

    /// <summary>Parts <c>user+ext</c> into user and <c>+ext</c>; null when there is no extension. Special names are never parted.</summary>
    public static (string User, string Extension)? SplitExtension(string localPart, AddressFinderOptions options)
    {
        if (options.RecipientDelimiter.Length == 0
            || localPart.Equals("postmaster", StringComparison.OrdinalIgnoreCase)
            || localPart.Equals("mailer-daemon", StringComparison.OrdinalIgnoreCase)
            || localPart.Equals(options.DoubleBounceSender, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        if (options.OwnerRequestSpecial && options.RecipientDelimiter.Contains('-')
            && (localPart.StartsWith("owner-", StringComparison.OrdinalIgnoreCase)
                || localPart.EndsWith("-request", StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }

        int at = localPart.AsSpan().IndexOfAny(options.RecipientDelimiter);
        return at > 0 ? (localPart[..at], localPart[at..]) : null;
    }

    private sealed class Search(MapList maps, AddressFinderOptions options, string address, AddressKeys keys, CancellationToken token)
    {
        private readonly int _at = address.LastIndexOf('@');

        public AddressMatch Answer { get; private set; }

        public async ValueTask RunAsync()
        {
            string local = _at < 0 ? address : address[.._at];
            string domain = _at < 0 ? "" : address[(_at + 1)..];
            (string User, string Extension)? split = Has(AddressKeys.WithoutExtension) ? SplitExtension(local, options) : null;
            if (Has(AddressKeys.Full) && await TryAddressAsync(address, partial: false, null))
            {
                return;
            }

            if (split is { } parts && await TryAddressAsync(parts.User + (_at < 0 ? "" : address[_at..]), partial: true, parts.Extension))
            {
                return;
            }

            if (_at < 0)
            {
                return;
            }

            if ((keys & (AddressKeys.LocalPartIfLocal | AddressKeys.LocalPartAtIfLocal)) != 0 && await TryLocalDomainAsync(local, domain, split))
            {
                return;
            }

            if (Has(AddressKeys.AtDomain) && await TryAsync(address[_at..], partial: true, null))
            {
                return;
            }

            if (Has(AddressKeys.Domain) && await TryDomainAsync(domain))
            {
                return;
            }

            if (Has(AddressKeys.LocalPartAt))
            {
                await TryLocalPartAsync(local, "@", split);
            }
        }

        private bool Has(AddressKeys key) => (keys & key) != 0;

        private async ValueTask<bool> TryLocalDomainAsync(string local, string domain, (string User, string Extension)? split)
        {
            MatchResult localDomain = options.IsLocalDomain is { } isLocal ? await isLocal(domain, token) : MatchResult.NoMatch;
            if (localDomain == MatchResult.TemporaryError)
            {
                Answer = new AddressMatch(LookupResult.TemporaryError($"{domain}: cannot tell whether the domain is local"), null, null);
                return true;
            }

            return localDomain == MatchResult.Match
                && ((Has(AddressKeys.LocalPartIfLocal) && await TryLocalPartAsync(local, "", split))
                    || (Has(AddressKeys.LocalPartAtIfLocal) && await TryLocalPartAsync(local, "@", split)));
        }

        private async ValueTask<bool> TryLocalPartAsync(string local, string suffix, (string User, string Extension)? split) =>
            await TryQuotedAsync(AddressText.QuoteLocalPart(local) + suffix, local + suffix, partial: true, null)
            || (split is { } parts
                && await TryQuotedAsync(AddressText.QuoteLocalPart(parts.User) + suffix, parts.User + suffix, partial: true, parts.Extension));

        private async ValueTask<bool> TryDomainAsync(string domain)
        {
            bool dotted = Has(AddressKeys.DotParentDomains);
            foreach (string key in AccessKeys.DomainAndParents(domain, dotted, Has(AddressKeys.ParentDomains), options.TryDottedParentsToo))
            {
                if (await TryAsync(key, partial: true, null))
                {
                    return true;
                }
            }

            return false;
        }

        private ValueTask<bool> TryAddressAsync(string key, bool partial, string? extension) =>
            TryQuotedAsync(AddressText.ToExternal(key), key, partial, extension);

        private async ValueTask<bool> TryQuotedAsync(string quoted, string plain, bool partial, string? extension) =>
            await TryAsync(quoted, partial, extension) || (quoted != plain && await TryAsync(plain, partial, extension));

        /// <summary>True when the search is over: found, or an error.</summary>
        private async ValueTask<bool> TryAsync(string key, bool partial, string? extension)
        {
            LookupResult result = await maps.LookupAsync(key, partial, token);
            if (result.Status == LookupStatus.NotFound)
            {
                return false;
            }

            Answer = new AddressMatch(result, result.IsFound ? extension : null, key);
            return true;
        }
    }
}
