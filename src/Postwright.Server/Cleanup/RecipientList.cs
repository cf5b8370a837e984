using Postwright.Server.Queue;

namespace Postwright.Server.Cleanup;

/// <summary>
/// The recipients of one message: completed, expanded by virtual_alias_maps, each once (duplicate_filter_limit). A
/// recipient that came by itself and by an alias is one recipient when enable_original_recipient is off, else two with
/// different original addresses, as in Postfix.
/// </summary>
internal sealed class RecipientList(CleanupService service, CleanupOptions options)
{
    private readonly List<EnvelopeRecipient> _recipients = [];
    private HashSet<(string Address, string Original, string Dsn)>? _known;

    /// <summary>The list so far.</summary>
    public IReadOnlyList<EnvelopeRecipient> Recipients => _recipients;

    /// <summary>Adds a recipient and what it expands to; false when a table could not be asked (logged).</summary>
    public async ValueTask<bool> AddAsync(string queueId, EnvelopeRecipient recipient, CancellationToken cancellationToken)
    {
        string address = options == CleanupOptions.None ? recipient.Address : service.Rewriter.Rewrite(recipient.Address);
        if ((options & CleanupOptions.VirtualAliases) == 0 || service.Aliases is not { } aliases)
        {
            Add(recipient, address);
            return true;
        }

        AliasExpansion expansion = await aliases.ExpandAsync(address, cancellationToken);
        if (!expansion.Succeeded)
        {
            service.Log.Warning($"{queueId}: {expansion.Error}");
            return false;
        }

        foreach (string target in expansion.Addresses)
        {
            Add(recipient, target);
        }

        return true;
    }

    private void Add(EnvelopeRecipient recipient, string address)
    {
        EnvelopeRecipient added = string.Equals(recipient.Address, address, StringComparison.Ordinal) ? recipient : recipient with { Address = address };
        if (_recipients.Count == 0 || service.Settings.DuplicateFilterLimit == 0)
        {
            _recipients.Add(added);
            return;
        }

        if (_known is null)
        {
            _known = [];
            _known.Add(Key(_recipients[0]));
        }

        (string, string, string) key = Key(added);
        if (_known.Contains(key))
        {
            return;
        }

        if (_known.Count < service.Settings.DuplicateFilterLimit)
        {
            _known.Add(key);
        }

        _recipients.Add(added);
    }

    // The domain's case never counts; Postfix folds the whole address here.
    private (string, string, string) Key(EnvelopeRecipient recipient) =>
        (recipient.Address.ToLowerInvariant(),
        service.Settings.EnableOriginalRecipient ? recipient.OriginalAddress.ToLowerInvariant() : "",
        recipient.DsnOriginalRecipient);
}
