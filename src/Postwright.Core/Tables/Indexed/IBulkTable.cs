namespace Postwright.Core.Tables.Indexed;

/// <summary>
/// A table that can be held still while one thread asks it many times (<c>postmap -q -</c>): one lock and one look at the file
/// for all of them.
/// </summary>
internal interface IBulkTable : ILookupTable
{
    /// <summary>True if keys are to be folded.</summary>
    bool Folds { get; }

    /// <summary>Begins; false when the table cannot be used, which an ordinary lookup explains. Waits for a writer.</summary>
    bool Hold();

    /// <summary>Ends.</summary>
    void Release();

    /// <summary>Looks a key up while the table is held. An error says no more: an ordinary lookup does.</summary>
    /// <param name="keyWithNul">The key as it is to be compared, and a NUL.</param>
    /// <param name="value">The value, good until the next call.</param>
    LookupStatus Find(ReadOnlySpan<byte> keyWithNul, out ReadOnlySpan<byte> value);
}
