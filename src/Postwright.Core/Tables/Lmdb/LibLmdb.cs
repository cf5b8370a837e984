using System.Runtime.InteropServices;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.Lmdb;

// liblmdb, for writing only and for tools only: it maps the file, and a damaged or shortened one ends the process. All that is
// written is one transaction: readers see all of it or nothing. The map is made large enough beforehand, since growing it
// would need the transaction from the start. Only address space is used for that.

/// <summary>An open LMDB file that is being written.</summary>
internal sealed unsafe partial class LibLmdb : IIndexStore
{
    private const string Library = "liblmdb.so.0";
    private const uint NoFolder = 0x4000;
    private const uint NoSync = 0x10000;
    private const uint NoLock = 0x400000;
    private const uint NoOverwrite = 0x10;
    private const uint Append = 0x20000;

    /// <summary>What the library is compiled with.</summary>
    public const int LongestKey = 511;

    private const int KeyExists = -30799;
    private const int NotFound = -30798;

    private readonly bool _append;
    private nint _environment;
    private nint _transaction;
    private uint _table;

    private LibLmdb(bool append) => _append = append;

    /// <summary>Opens a file; null and the reason when that fails.</summary>
    /// <param name="path">The file.</param>
    /// <param name="anew">Empties it, in the same transaction that fills it; what is put in must come in the order of its keys.</param>
    /// <param name="length">How long it is now; a new one is synced by the caller, before its name is.</param>
    /// <param name="size">How many bytes of source will be put in.</param>
    /// <param name="error">The reason.</param>
    public static LibLmdb? Open(string path, bool anew, long length, long size, out string? error)
    {
        var file = new LibLmdb(anew);
        try
        {
            // A short entry takes some 16 bytes in a page, and pages may be half full.
            long map = (length + (size * 16) + (16 << 20)) & ~0xfffffL;
            int status = mdb_env_create(out file._environment);
            status = status != 0 ? status : mdb_env_set_mapsize(file._environment, (nuint)map);
            status = status != 0 ? status : mdb_env_open(file._environment, path, NoFolder | NoLock | (length == 0 ? NoSync : 0), 0x180);
            status = status != 0 ? status : mdb_txn_begin(file._environment, 0, 0, out file._transaction);
            status = status != 0 ? status : mdb_dbi_open(file._transaction, null, 0, out file._table);
            status = status != 0 || !anew ? status : mdb_drop(file._transaction, file._table, 0);
            error = status == 0 ? null : $"open database {path}: {Reason(status)}";
            if (error is null)
            {
                return file;
            }

            file.Dispose();
            return null;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            error = $"{Library} is needed to write lmdb files, and cannot be loaded (install liblmdb0)";
            return null;
        }
    }

    public bool? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool replace, out string? error)
    {
        int status;
        fixed (byte* keyBytes = key)
        fixed (byte* valueBytes = value)
        {
            var keyItem = new Item { Size = (nuint)key.Length, Bytes = keyBytes };
            var valueItem = new Item { Size = (nuint)value.Length, Bytes = valueBytes };
            status = mdb_put(_transaction, _table, &keyItem, &valueItem, _append ? Append : replace ? 0 : NoOverwrite);
        }

        error = status is 0 or KeyExists ? null : Reason(status);
        return status == 0 ? true : status == KeyExists ? false : null;
    }

    public bool? Delete(ReadOnlySpan<byte> key, out string? error)
    {
        int status;
        fixed (byte* keyBytes = key)
        {
            var keyItem = new Item { Size = (nuint)key.Length, Bytes = keyBytes };
            status = mdb_del(_transaction, _table, &keyItem, null);
        }

        error = status is 0 or NotFound ? null : Reason(status);
        return status == 0 ? true : status == NotFound ? false : null;
    }

    public string? Close()
    {
        nint transaction = Interlocked.Exchange(ref _transaction, 0);
        int status = transaction == 0 ? 0 : mdb_txn_commit(transaction);
        CloseEnvironment();
        return status == 0 ? null : Reason(status);
    }

    /// <summary>Ends without a result: the file is as it was.</summary>
    public void Dispose()
    {
        nint transaction = Interlocked.Exchange(ref _transaction, 0);
        if (transaction != 0)
        {
            mdb_txn_abort(transaction);
        }

        CloseEnvironment();
    }

    private void CloseEnvironment()
    {
        nint environment = Interlocked.Exchange(ref _environment, 0);
        if (environment != 0)
        {
            mdb_env_close(environment);
        }
    }

    private static string Reason(int status) =>
        status > 0 ? Marshal.GetPInvokeErrorMessage(status) : Marshal.PtrToStringUTF8(mdb_strerror(status)) ?? $"error {status}";

    /// <summary>MDB_val.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Item
    {
        public nuint Size;
        public byte* Bytes;
    }

    [LibraryImport(Library)]
    private static partial nint mdb_strerror(int status);

    [LibraryImport(Library)]
    private static partial int mdb_env_create(out nint environment);

    [LibraryImport(Library)]
    private static partial int mdb_env_set_mapsize(nint environment, nuint size);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mdb_env_open(nint environment, string path, uint flags, uint mode);

    [LibraryImport(Library)]
    private static partial void mdb_env_close(nint environment);

    [LibraryImport(Library)]
    private static partial int mdb_txn_begin(nint environment, nint parent, uint flags, out nint transaction);

    [LibraryImport(Library)]
    private static partial int mdb_txn_commit(nint transaction);

    [LibraryImport(Library)]
    private static partial void mdb_txn_abort(nint transaction);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mdb_dbi_open(nint transaction, string? name, uint flags, out uint table);

    [LibraryImport(Library)]
    private static partial int mdb_drop(nint transaction, uint table, int delete);

    [LibraryImport(Library)]
    private static partial int mdb_put(nint transaction, uint table, Item* key, Item* value, uint flags);

    [LibraryImport(Library)]
    private static partial int mdb_del(nint transaction, uint table, Item* key, Item* value);
}
