using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Protocol.Mail;
using Postwright.Server.Route;

namespace Postwright.Server.Cleanup;

/// <summary>
/// Expands virtual_alias_maps. A result that is the address itself ends its way (so that an alias may keep a copy); everything
/// else is looked up again. Bounds: virtual_alias_recursion_limit levels, virtual_alias_expansion_limit addresses,
/// virtual_alias_address_length_limit characters; beyond any of them the message is not accepted, as in Postfix.
/// </summary>
public sealed class VirtualAliases : IVirtualAliases
{
    private readonly MapList _maps;
    private readonly MailAddressFinder _finder;
    private readonly IAddressRewriter _rewriter;
    private readonly int _recursionLimit;
    private readonly int _expansionLimit;
    private readonly int _lengthLimit;
    private readonly string _delimiters;
    private readonly bool _propagatesExtension;

    private VirtualAliases(MailConfiguration configuration, MapList maps, AddressFinderOptions options, IAddressRewriter rewriter)
    {
        _maps = maps;
        _finder = new MailAddressFinder(maps, options);
        _rewriter = rewriter;
        _recursionLimit = configuration.GetInt("virtual_alias_recursion_limit");
        _expansionLimit = configuration.GetInt("virtual_alias_expansion_limit");
        _lengthLimit = configuration.GetInt("virtual_alias_address_length_limit");
        _delimiters = options.RecipientDelimiter;
        _propagatesExtension = configuration.GetList("propagate_unmatched_extensions").Contains("virtual", StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Opens the tables; null when there are none.</summary>
    public static VirtualAliases? From(MailConfiguration configuration, TableRegistry tables, IAddressClassifier classifier, IAddressRewriter rewriter)
    {
        MapList maps = MapList.Open(tables, configuration.GetString("virtual_alias_maps"), "virtual_alias_maps");
        if (maps.IsEmpty)
        {
            return null;
        }

        string origin = configuration.GetString("myorigin");
        return new VirtualAliases(configuration, maps, new AddressFinderOptions
        {
            RecipientDelimiter = configuration.GetString("recipient_delimiter"),
            DoubleBounceSender = configuration.GetString("double_bounce_sender"),
            OwnerRequestSpecial = configuration.GetBool("owner_request_special"),
            IsLocalDomain = (domain, token) => LocalDomains.MatchAsync(domain, origin, classifier, token),
        }, rewriter);
    }

    /// <inheritdoc />
    public async ValueTask<AliasExpansion> ExpandAsync(string address, CancellationToken cancellationToken)
    {
        List<string> done = [];
        List<string> level = [address];
        for (int depth = 0; level.Count > 0; depth++)
        {
            if (depth >= _recursionLimit)
            {
                return Failed($"unreasonable {_maps.Title} map nesting for {address} -- message not accepted, try again later");
            }

            List<string> next = [];
            foreach (string one in level)
            {
                AddressMatch match = await _finder.FindAsync(one, AddressKeys.Rewriting, cancellationToken);
                if (match.Result.Status == LookupStatus.TemporaryError)
                {
                    return Failed($"{_maps.Title} map lookup problem for {address} -- message not accepted, try again later");
                }

                if (!match.Result.IsFound)
                {
                    done.Add(one);
                    continue;
                }

                Sort(one, match, done, next);
                if (done.Count + next.Count > _expansionLimit)
                {
                    return Failed($"unreasonable {_maps.Title} map expansion size for {address} -- message not accepted, try again later");
                }

                if (next.Exists(target => target.Length > _lengthLimit))
                {
                    return Failed($"unreasonable {_maps.Title} result {next.Find(target => target.Length > _lengthLimit)![..100]}... -- message not accepted, try again later");
                }
            }

            level = next;
        }

        return new AliasExpansion(true, done, null);
    }

    // What an address became: itself is the end of the way, the rest is looked up again.
    private void Sort(string address, AddressMatch match, List<string> done, List<string> next)
    {
        foreach (string result in Protocol.Mail.AddressList.Addresses(match.Result.Value!))
        {
            // "@other" keeps the user (virtual(5)).
            string target = result.StartsWith('@') ? LocalPart(address) + result : result;
            if (_propagatesExtension && match.Extension is { } extension)
            {
                target = WithExtension(target, extension);
            }

            target = _rewriter.Rewrite(target);
            if (target.Equals(address, StringComparison.OrdinalIgnoreCase))
            {
                done.Add(target);
            }
            else
            {
                next.Add(target);
            }
        }
    }

    private string WithExtension(string address, string extension)
    {
        int at = AddressText.AtPosition(address);
        string local = at < 0 ? address : address[..at];
        return local.AsSpan().IndexOfAny(_delimiters) > 0 ? address : local + extension + (at < 0 ? "" : address[at..]);
    }

    private static string LocalPart(string address)
    {
        int at = AddressText.AtPosition(address);
        return at < 0 ? address : address[..at];
    }

    private static AliasExpansion Failed(string error) => new(false, [], error);
}
