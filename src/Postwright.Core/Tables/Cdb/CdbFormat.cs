namespace Postwright.Core.Tables.Cdb;

/// <summary>Bernstein's constant database: 256 hash tables behind the records, and a directory of them in front.</summary>
internal static class CdbFormat
{
    /// <summary>The directory: position and number of slots of each hash table.</summary>
    public const int DirectorySize = 2048;

    /// <summary>The hash of a key: its low byte chooses the table, the rest the slot to begin with.</summary>
    public static uint Hash(ReadOnlySpan<byte> key)
    {
        uint hash = 5381;
        foreach (byte b in key)
        {
            hash = unchecked((hash << 5) + hash) ^ b;
        }

        return hash;
    }
}
