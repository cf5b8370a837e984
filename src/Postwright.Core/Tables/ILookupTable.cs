namespace Postwright.Core.Tables;

/// <summary>The three outcomes of a lookup. The third never becomes the second: it means "defer" to every caller.</summary>
public enum LookupStatus
{
    /// <summary>The table has no such key.</summary>
    NotFound,

    /// <summary>The table has a value.</summary>
    Found,

    /// <summary>The table could not be asked, or is damaged.</summary>
    TemporaryError,
}

/// <summary>A table's answer.</summary>
/// <param name="Status">Which of the three.</param>
/// <param name="Value">The value when found, else null.</param>
/// <param name="Error">What to log when the table could not be asked, else null.</param>
public readonly record struct LookupResult(LookupStatus Status, string? Value, string? Error)
{
    /// <summary>No such key.</summary>
    public static LookupResult NotFound => default;

    /// <summary>The key's value.</summary>
    public static LookupResult Found(string value) => new(LookupStatus.Found, value, null);

    /// <summary>The table could not be asked.</summary>
    public static LookupResult TemporaryError(string error) => new(LookupStatus.TemporaryError, null, error);

    /// <summary>True when there is a value.</summary>
    [System.Diagnostics.CodeAnalysis.MemberNotNullWhen(true, nameof(Value))]
    public bool IsFound => Status == LookupStatus.Found;
}

/// <summary>
/// An open lookup table, safe for use by any number of sessions at once. Tables in files notice by themselves when the
/// file was replaced. A table that cannot be opened still exists and answers <see cref="LookupStatus.TemporaryError"/>.
/// </summary>
public interface ILookupTable
{
    /// <summary>As configured: <c>hash:/etc/postfix/access</c>.</summary>
    string Name { get; }

    /// <summary>
    /// True for cidr, regexp, pcre, static and the like, which see the whole key only: callers skip parent domains,
    /// bare users and other partial keys.
    /// </summary>
    bool MatchesWholeKeysOnly { get; }

    /// <summary>
    /// True when a server in a network answers. What it says is an address or a text, never a command, a file or an identity:
    /// whoever holds the server must not become root here.
    /// </summary>
    bool IsRemote => false;

    /// <summary>Looks one key up. Folding is the table's own affair. Local tables complete synchronously.</summary>
    ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken);
}
