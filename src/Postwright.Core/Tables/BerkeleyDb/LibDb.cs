using System.Runtime.InteropServices;

namespace Postwright.Core.Tables.BerkeleyDb;

// libdb-5.3, for writing only and for tools only: a damaged file can crash it, and the mail process must outlive one.
// The calls are the library's own entry points behind the methods of DB, exported under these names; so no layout of its
// structures is needed but that of DBT. Keys and values are copied into the file before a call returns.

/// <summary>An open Berkeley DB file that is being written.</summary>
internal sealed unsafe partial class LibDb : IDisposable
{
    public const int Btree = 1;
    public const int Hash = 2;
    public const uint Create = 1;
    public const uint Truncate = 0x20000;
    private const string Library = "libdb-5.3.so";
    private const uint NoOverwrite = 20;
    private const int KeyExists = -30994;
    private const int NotFound = -30988;

    private nint _db;

    private LibDb(nint db) => _db = db;

    /// <summary>Opens or creates a file; null and the reason when that fails.</summary>
    public static LibDb? Open(string path, int type, uint flags, out string? error)
    {
        try
        {
            int status = db_create(out nint db, 0, 0);
            if (status != 0)
            {
                error = $"create DB database: {Marshal.GetPInvokeErrorMessage(status)}";
                return null;
            }

            var file = new LibDb(db);
            status = OpenFile(db, 0, path, null, type, flags, 0x180);
            if (status != 0)
            {
                file.Close();
                error = $"open database {path}: {Reason(status)}";
                return null;
            }

            error = null;
            return file;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            error = $"{Library} is needed to write hash and btree files, and cannot be loaded (install libdb5.3)";
            return null;
        }
    }

    /// <summary>Stores an entry: true when stored, false when the key is there already and not to be replaced, null on failure.</summary>
    public bool? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool replace, out string? error)
    {
        int status;
        fixed (byte* keyBytes = key)
        fixed (byte* valueBytes = value)
        {
            var keyItem = new Item { Bytes = keyBytes, Size = (uint)key.Length };
            var valueItem = new Item { Bytes = valueBytes, Size = (uint)value.Length };
            status = PutItem(_db, 0, &keyItem, &valueItem, replace ? 0 : NoOverwrite);
        }

        error = status is 0 or KeyExists ? null : Reason(status);
        return status == 0 ? true : status == KeyExists ? false : null;
    }

    /// <summary>Removes an entry: true when it was there, null on failure.</summary>
    public bool? Delete(ReadOnlySpan<byte> key, out string? error)
    {
        int status;
        fixed (byte* keyBytes = key)
        {
            var keyItem = new Item { Bytes = keyBytes, Size = (uint)key.Length };
            status = DeleteItem(_db, 0, &keyItem, 0);
        }

        error = status is 0 or NotFound ? null : Reason(status);
        return status == 0 ? true : status == NotFound ? false : null;
    }

    /// <summary>Writes all to the disk and closes; null or the reason why the file is not whole.</summary>
    public string? Close()
    {
        nint db = Interlocked.Exchange(ref _db, 0);
        int status = db == 0 ? 0 : CloseFile(db, 0);
        return status == 0 ? null : Reason(status);
    }

    public void Dispose() => Close();

    private static string Reason(int status) =>
        status > 0 ? Marshal.GetPInvokeErrorMessage(status) : Marshal.PtrToStringUTF8(db_strerror(status)) ?? $"error {status}";

    /// <summary>DBT.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Item
    {
        public byte* Bytes;
        public uint Size;
        public uint UserLength;
        public uint PartialLength;
        public uint PartialOffset;
        public void* Application;
        public uint Flags;
    }

    [LibraryImport(Library)]
    private static partial int db_create(out nint db, nint environment, uint flags);

    [LibraryImport(Library)]
    private static partial nint db_strerror(int status);

    [LibraryImport(Library, EntryPoint = "__db_open_pp", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(nint db, nint transaction, string path, string? database, int type, uint flags, int mode);

    [LibraryImport(Library, EntryPoint = "__db_put_pp")]
    private static partial int PutItem(nint db, nint transaction, Item* key, Item* value, uint flags);

    [LibraryImport(Library, EntryPoint = "__db_del_pp")]
    private static partial int DeleteItem(nint db, nint transaction, Item* key, uint flags);

    [LibraryImport(Library, EntryPoint = "__db_close_pp")]
    private static partial int CloseFile(nint db, uint flags);
}
