using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Tables.BerkeleyDb;
using Postwright.Core.Tables.Cdb;
using Postwright.Core.Tables.Lmdb;

namespace Postwright.Core.Tables.Indexed;

/// <summary>Opens a file to write; anew means empty. The length is the file's, the size that of the source.</summary>
internal delegate IIndexStore? OpenStore(string path, bool anew, long length, long size, out string? error);

/// <summary>How writers keep each other, and readers, off a file.</summary>
internal enum IndexLock
{
    /// <summary>flock(2): writers change the file in place, and readers take the shared lock.</summary>
    Whole,

    /// <summary>fcntl(2): among writers only; a reader sees by itself when the file has changed under it.</summary>
    Record,
}

/// <summary>A kind of indexed file, and what Postfix's messages about it are like.</summary>
/// <param name="Type">The table type.</param>
/// <param name="Suffix">What stands behind the source's name.</param>
/// <param name="Lock">The lock that its programs take.</param>
/// <param name="MakeReader">Makes the reader of an open file.</param>
/// <param name="OpenStore">Opens a file to write.</param>
internal sealed record IndexKind(string Type, string Suffix, IndexLock Lock, Func<IndexFile, IndexReader> MakeReader, OpenStore OpenStore)
{
    public static readonly IndexKind Hash = new("hash", ".db", IndexLock.Whole, static file => new HashReader(file),
        static (path, anew, length, size, out error) => LibDb.Open(path, LibDb.Hash, anew, size, out error));

    public static readonly IndexKind Btree = new("btree", ".db", IndexLock.Whole, static file => new BtreeReader(file),
        static (path, anew, length, size, out error) => Sorted(LibDb.Open(path, LibDb.Btree, anew, size, out error), anew, size, int.MaxValue));

    public static readonly IndexKind Lmdb = new("lmdb", ".lmdb", IndexLock.Record, static file => new LmdbReader(file),
        static (path, anew, length, size, out error) => Sorted(LibLmdb.Open(path, anew, length, size, out error), anew, size, LibLmdb.LongestKey))
    {
        DeletionCreates = true,
        NameHasSuffix = false,
    };

    public static readonly IndexKind Cdb = new("cdb", ".cdb", IndexLock.Record, static file => new CdbReader(file), OpenCdb)
    {
        WritesNul = false,
        CanList = false,
        CannotUpdate = "dict_cdb_open: inappropriate open flags for cdb database - specify O_RDONLY or O_WRONLY|O_CREAT|O_TRUNC",
    };

    private static readonly IndexKind[] All = [Hash, Btree, Lmdb, Cdb];

    /// <summary>True if keys and values are written with a NUL unless told otherwise.</summary>
    public bool WritesNul { get; private init; } = true;

    /// <summary>False if Postfix cannot list such a table, so that <c>postmap -s</c> of one is an error.</summary>
    public bool CanList { get; private init; } = true;

    /// <summary>Why such a file is only ever made anew; null if it can be changed.</summary>
    public string? CannotUpdate { get; private init; }

    /// <summary>True if <c>postmap -d</c> makes a file that is not there.</summary>
    public bool DeletionCreates { get; private init; }

    /// <summary>True if messages name the file, suffix and all, and not the source.</summary>
    public bool NameHasSuffix { get; private init; } = true;

    /// <summary>The kind of that type; null when there is none.</summary>
    public static IndexKind? Of(string type) => Array.Find(All, kind => kind.Type == type);

    /// <summary>What a table is called in the warning about a key that is there twice.</summary>
    public string NameOfDuplicates(string source) => Type switch { "lmdb" => $"lmdb:{source}", "cdb" => source, _ => source + Suffix };

    /// <summary>The message when an entry cannot be stored or removed.</summary>
    public string Failure(string source, string error) =>
        Type == "lmdb" ? $"error updating lmdb:{source}: {error}" : $"table {Type}:{source}: write error: {error}";

    /// <summary>The message about a file that is none of this kind.</summary>
    public string NotOfThisKind(string path) => Type switch
    {
        "lmdb" => $"open database {path}: MDB_INVALID: File is not an LMDB file",
        "cdb" => $"dict_cdbq_open: unable to init {path}: Protocol error",
        _ => $"open database {path}: Invalid argument",
    };

    /// <summary>The warning about a source that is newer than its file; null when there is nothing to warn of.</summary>
    public static string? NewerSource(string source, string path, FileStamp stamp, TimeProvider time)
    {
        // Not of a source that was written just now: somebody is about to run postmap.
        bool newer = FileStamp.TryGet(source, out FileStamp its, out _) && its.Seconds > stamp.Seconds
            && its.Seconds < time.GetUtcNow().ToUnixTimeSeconds() - 100;
        return newer ? $"database {path} is older than source file {source}" : null;
    }

    /// <summary>Waits for the writer's lock of an open file.</summary>
    public void LockForWriting(SafeFileHandle file)
    {
        while ((Lock == IndexLock.Whole ? Libc.Flock(file, Libc.LockExclusive) : Libc.LockRecord(file)) != 0
            && Marshal.GetLastPInvokeError() == Libc.Interrupted)
        {
            // A signal: wait on.
        }
    }

    /// <summary>A tree that is made anew is filled in the order of its keys.</summary>
    private static IIndexStore? Sorted(IIndexStore? store, bool anew, long size, int longestKey) =>
        store is not null && anew ? new SortedStore(store, size, longestKey) : store;

    private static CdbStore? OpenCdb(string path, bool anew, long length, long size, out string? error)
    {
        // A file with its name already must stay whole for readers.
        error = length == 0 ? null : $"open database {path}: Permission denied";
        return error is null ? new CdbStore(path) : null;
    }
}
