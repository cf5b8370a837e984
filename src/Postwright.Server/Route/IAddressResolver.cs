namespace Postwright.Server.Route;

/// <summary>What became of a resolution.</summary>
public enum ResolveStatus : byte
{
    /// <summary>Transport, next hop and address count. An unknown user of a virtual alias domain resolves to the error transport.</summary>
    Resolved,

    /// <summary>No valid mail address: bounced with <c>5.1.3 bad address syntax</c>.</summary>
    BadAddress,

    /// <summary>A table could not be asked: deferred with <c>4.3.0 address resolver failure</c>.</summary>
    TemporaryError,
}

/// <summary>Where a recipient goes: trivial-rewrite(8)'s (transport, nexthop, recipient, flags).</summary>
/// <param name="Status">Whether the rest counts.</param>
/// <param name="Class">The class of the address's domain.</param>
/// <param name="Transport">A name of master.cf's first column, such as <c>smtp</c>.</param>
/// <param name="NextHop">Domain, <c>[host]:port</c>, or the text of error, retry and discard.</param>
/// <param name="Address">The recipient as the delivery agent gets it, in internal form.</param>
/// <param name="IsRouted">True for <c>user%elsewhere@here</c> and the like.</param>
/// <param name="Error">What to log on <see cref="ResolveStatus.TemporaryError"/>, else null.</param>
public sealed record ResolvedAddress(
    ResolveStatus Status, AddressClass Class, string Transport, string NextHop, string Address, bool IsRouted = false, string? Error = null);

/// <summary>
/// Chooses transport and next hop of a recipient. Safe for any number of callers at once; completes synchronously unless
/// a remote table must be asked. Never throws for anything an address or a table contains.
/// </summary>
public interface IAddressResolver
{
    /// <summary>Resolves <paramref name="recipient"/>, in internal form, for mail from <paramref name="sender"/>.</summary>
    ValueTask<ResolvedAddress> ResolveAsync(string sender, string recipient, CancellationToken cancellationToken);
}
