using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Tables.BerkeleyDb;

namespace Postwright.Core.Tables.Indexed;

/// <summary>Opens a file to write; anew means empty.</summary>
internal delegate IIndexStore? OpenStore(string path, bool anew, long size, out string? error);

/// <summary>How writers keep each other, and readers, off a file.</summary>
internal enum IndexLock
{
    /// <summary>flock(2): writers change the file in place, and readers take the shared lock.</summary>
    Whole,

    /// <summary>fcntl(2): among writers only; a reader sees by itself when the file has changed under it.</summary>
    Record,
}

/// <summary>A kind of indexed file.</summary>
/// <param name="Type">The table type.</param>
/// <param name="Suffix">What stands behind the source's name.</param>
/// <param name="Lock">The lock that its programs take.</param>
/// <param name="MakeReader">Makes the reader of an open file.</param>
/// <param name="OpenStore">Opens a file to write.</param>
internal sealed record IndexKind(string Type, string Suffix, IndexLock Lock, Func<IndexFile, IndexReader> MakeReader, OpenStore OpenStore)
{
    public static readonly IndexKind Hash = new("hash", ".db", IndexLock.Whole, static file => new HashReader(file),
        static (path, anew, size, out error) => LibDb.Open(path, LibDb.Hash, anew, size, out error));

    public static readonly IndexKind Btree = new("btree", ".db", IndexLock.Whole, static file => new BtreeReader(file),
        static (path, anew, size, out error) => LibDb.Open(path, LibDb.Btree, anew, size, out error));

    /// <summary>True if messages name the file, suffix and all, and not the source.</summary>
    public bool NameHasSuffix { get; init; } = true;

    /// <summary>The kind of that type; null when there is none.</summary>
    public static IndexKind? Of(string type) => type switch { "hash" => Hash, "btree" => Btree, _ => null };

    /// <summary>Waits for the writer's lock of an open file.</summary>
    public void LockForWriting(SafeFileHandle file)
    {
        while ((Lock == IndexLock.Whole ? Libc.Flock(file, Libc.LockExclusive) : Libc.LockRecord(file)) != 0
            && Marshal.GetLastPInvokeError() == Libc.Interrupted)
        {
            // A signal: wait on.
        }
    }
}
