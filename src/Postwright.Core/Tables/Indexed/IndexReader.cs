namespace Postwright.Core.Tables.Indexed;

/// <summary>What a search in a file came to.</summary>
internal enum IndexOutcome
{
    NotFound,
    Found,
    Damaged,

    /// <summary>A writer went on meanwhile, and what was read may be mixed: the table was read anew at once, ask again.</summary>
    Changed,
}

/// <summary>Takes one entry; both are good only until it returns.</summary>
internal delegate void IndexEntry(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value);

// A reader believes nothing in its file: offsets, lengths and chains are checked before use, and what does not fit is Damage,
// a value. Nothing here throws for a file's content. Not for use by two threads at once.

/// <summary>Reads one kind of indexed file. <see cref="Damage"/> says what <see cref="IndexOutcome.Damaged"/> means.</summary>
internal abstract class IndexReader
{
    /// <summary>Why the file cannot be read, or null.</summary>
    public abstract string? Damage { get; }

    /// <summary>Reads the first pages again: after opening, and whenever the file has changed. False when the file is damaged.</summary>
    public abstract bool ReadMeta();

    /// <summary>Finds <paramref name="key"/>; the value is good until the next call.</summary>
    public abstract IndexOutcome Find(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value);

    /// <summary>Gives all entries in the file's order; ends early, with <see cref="Damage"/> set, when the file is damaged.</summary>
    public abstract void List(IndexEntry entry);
}
