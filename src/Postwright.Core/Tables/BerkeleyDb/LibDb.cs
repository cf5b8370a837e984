using System.Runtime.InteropServices;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.BerkeleyDb;

// libdb-5.3, for writing only and for tools only: a damaged file can crash it, and the mail process must outlive one.
// The calls are the library's own entry points behind the methods of DB, exported under these names; so no layout of its
// structures is needed but that of DBT. Keys and values are copied into the file before a call returns.

/// <summary>An open Berkeley DB file that is being written.</summary>
internal sealed unsafe partial class LibDb : IIndexStore
{
    public const int Btree = 1;
    public const int Hash = 2;
    private const uint Create = 1;
    private const uint Truncate = 0x20000;
    private const string Library = "libdb-5.3.so";
    private const uint NoOverwrite = 20;
    private const long SmallestCache = 1 << 20;
    private const long LargestCache = 512 << 20;
    private const int KeyExists = -30994;
    private const int NotFound = -30988;

    private nint _environment;
    private nint _db;

    private LibDb(nint environment, nint db)
    {
        _environment = environment;
        _db = db;
    }

    /// <summary>Opens or creates a file; null and the reason when that fails.</summary>
    /// <param name="path">Absolute, or as the working directory has it.</param>
    /// <param name="type">One of the two types.</param>
    /// <param name="anew">Makes an empty file of whatever is there.</param>
    /// <param name="size">About how many bytes will be put in: they get a cache of that size, within limits.</param>
    /// <param name="error">The reason.</param>
    public static LibDb? Open(string path, int type, bool anew, long size, out string? error)
    {
        nint environment = 0;
        nint db = 0;
        try
        {
            int status = OpenEnvironment(ref environment, size);
            if (status == 0)
            {
                status = db_create(out db, environment, 0);
            }

            if (status != 0)
            {
                error = $"create DB database: {Reason(status)}";
            }
            else
            {
                status = OpenFile(db, 0, System.IO.Path.GetFullPath(path), null, type, anew ? Create | Truncate : 0, 0x180);
                error = status == 0 ? null : $"open database {path}: {Reason(status)}";
            }

            var file = new LibDb(environment, db);
            if (error is null)
            {
                return file;
            }

            file.Close();
            return null;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            error = $"{Library} is needed to write hash and btree files, and cannot be loaded (install libdb5.3)";
            return null;
        }
    }

    /// <summary>
    /// An environment of this process alone, for the sake of its cache: the library's own choice is a quarter of a megabyte,
    /// and pages that do not fit are written and read again and again. Its home is / because the library reads a file
    /// DB_CONFIG there: the working directory is anybody's.
    /// </summary>
    private static int OpenEnvironment(ref nint environment, long size)
    {
        const uint PrivateMemory = 0x10000;
        const uint MemoryPool = 0x400;
        int status = db_env_create(out environment, 0);
        if (status != 0)
        {
            return status;
        }

        uint cache = (uint)Math.Clamp(size * 4, SmallestCache, LargestCache);
        status = SetCacheSize(environment, 0, cache, 1);
        return status != 0 ? status : OpenEnvironment(environment, "/", Create | PrivateMemory | MemoryPool, 0);
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
        nint environment = Interlocked.Exchange(ref _environment, 0);
        int status = db == 0 ? 0 : CloseFile(db, 0);
        int ended = environment == 0 ? 0 : CloseEnvironment(environment, 0);
        status = status == 0 ? ended : status;
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
    private static partial int db_env_create(out nint environment, uint flags);

    [LibraryImport(Library, EntryPoint = "__memp_set_cachesize")]
    private static partial int SetCacheSize(nint environment, uint gigabytes, uint bytes, int caches);

    [LibraryImport(Library, EntryPoint = "__env_open_pp", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenEnvironment(nint environment, string home, uint flags, int mode);

    [LibraryImport(Library, EntryPoint = "__env_close_pp")]
    private static partial int CloseEnvironment(nint environment, uint flags);

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
