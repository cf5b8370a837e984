namespace Postwright.Core.Tables.BerkeleyDb;

/// <summary>What a search in a file came to.</summary>
internal enum DbOutcome
{
    NotFound,
    Found,
    Damaged,
}

/// <summary>Reads one kind of Berkeley DB file. <see cref="DbPages.Damage"/> says what <see cref="DbOutcome.Damaged"/> means.</summary>
internal abstract class DbReader(DbPages pages)
{
    public DbPages Pages { get; } = pages;

    /// <summary>Reads the first page again: after opening, and whenever the file has changed.</summary>
    public abstract bool ReadMeta();

    /// <summary>Finds <paramref name="key"/>.</summary>
    public abstract DbOutcome Find(ReadOnlySpan<byte> key, out byte[]? value);

    /// <summary>All entries in the file's order; ends early, with <see cref="DbPages.Damage"/> set, when the file is damaged.</summary>
    public abstract IEnumerable<KeyValuePair<byte[], byte[]>> Entries();
}
