namespace Postwright.Core.Tables.Indexed;

/// <summary>An indexed file that is being written. Keys and values are copied before a call returns.</summary>
internal interface IIndexStore : IDisposable
{
    /// <summary>Stores an entry: true when stored, false when the key is there already and not to be replaced, null on failure.</summary>
    bool? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool replace, out string? error);

    /// <summary>Removes an entry: true when it was there, null on failure.</summary>
    bool? Delete(ReadOnlySpan<byte> key, out string? error);

    /// <summary>Writes all and closes; null or the reason why the file is not whole. Syncing is the caller's.</summary>
    string? Close();
}
