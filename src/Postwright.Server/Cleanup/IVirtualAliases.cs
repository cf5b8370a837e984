namespace Postwright.Server.Cleanup;

/// <summary>What an address became.</summary>
/// <param name="Succeeded">False when a table could not be asked or the expansion has no reasonable end: 451, nothing is queued.</param>
/// <param name="Addresses">The addresses; the address itself when there is no alias.</param>
/// <param name="Error">What to log when it failed, else null.</param>
public readonly record struct AliasExpansion(bool Succeeded, IReadOnlyList<string> Addresses, string? Error);

/// <summary>virtual_alias_maps (virtual(5)), expanded until nothing changes.</summary>
public interface IVirtualAliases
{
    /// <summary>Expands an address in internal form.</summary>
    ValueTask<AliasExpansion> ExpandAsync(string address, CancellationToken cancellationToken);
}
