namespace Postwright.Server.Route;

/// <summary>The class of a recipient's domain, as ADDRESS_CLASS_README names them.</summary>
public enum AddressClass : byte
{
    /// <summary>Somebody else's domain: mail for it is relaying.</summary>
    Default,

    /// <summary>mydestination, inet_interfaces, proxy_interfaces: final.</summary>
    Local,

    /// <summary>virtual_alias_domains: final, every recipient must be in virtual_alias_maps.</summary>
    VirtualAlias,

    /// <summary>virtual_mailbox_domains: final.</summary>
    VirtualMailbox,

    /// <summary>relay_domains (and subdomains as parent_domain_matches_subdomains says): passed on for strangers too.</summary>
    Relay,
}

/// <summary>What became of a classification. The second never becomes the first.</summary>
public enum ClassificationStatus : byte
{
    /// <summary>The class is known.</summary>
    Known,

    /// <summary>A table could not be asked: 451 4.3.0.</summary>
    TemporaryError,

    /// <summary>No valid mail address (<c>user@</c>, <c>user@a..b</c>): 501.</summary>
    BadAddress,
}

/// <summary>A recipient address as the rest of the system will see it.</summary>
/// <param name="Status">Whether the rest counts.</param>
/// <param name="Class">The class of its domain.</param>
/// <param name="Address">Rewritten to standard form: internal (unquoted), completed with myorigin and mydomain.</param>
/// <param name="IsRouted">True for <c>user%elsewhere@here</c>, <c>a!b</c> and the like, which strangers may not use to relay.</param>
/// <param name="Error">What to log on <see cref="ClassificationStatus.TemporaryError"/>, else null.</param>
public readonly record struct Classification(ClassificationStatus Status, AddressClass Class, string Address, bool IsRouted = false, string? Error = null)
{
    /// <summary>True for domains whose mail ends on this machine.</summary>
    public bool IsFinal => Class is AddressClass.Local or AddressClass.VirtualAlias or AddressClass.VirtualMailbox;
}

/// <summary>
/// Tells the receiving side, which decides at RCPT TO, what becomes of an address. Safe for any number of sessions at once; completes synchronously unless a remote table must be asked.
/// </summary>
public interface IAddressClassifier
{
    /// <summary>Classifies <paramref name="address"/>, given in internal form and as the client sent it.</summary>
    ValueTask<Classification> ClassifyAsync(string address, CancellationToken cancellationToken);

    /// <summary>
    /// Chooses transport and next hop too, as the queue manager will: where configuration says already that there is no way,
    /// a recipient need not be accepted first.
    /// </summary>
    /// <param name="sender">For what depends on it; in internal form and as the client sent it, as <paramref name="address"/>.</param>
    /// <param name="address">Where to.</param>
    /// <param name="cancellationToken">Ends the lookups.</param>
    ValueTask<ResolvedAddress> RouteAsync(string sender, string address, CancellationToken cancellationToken);
}

/// <summary>
/// Brings addresses into standard form (trivial-rewrite's first half): <c>user</c> becomes <c>user@$myorigin</c>
/// (append_at_myorigin), <c>user@host</c> becomes <c>user@host.$mydomain</c> (append_dot_mydomain), <c>site!user</c> and
/// <c>user%site</c> become <c>user@site</c> (swap_bangpath, allow_percent_hack). Needs no table.
/// </summary>
public interface IAddressRewriter
{
    /// <summary>Rewrites an address in internal form. The empty address stays empty.</summary>
    string Rewrite(string address);
}
