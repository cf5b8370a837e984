using System.Runtime.InteropServices;
using Postwright.Core.Posix;

namespace Postwright.Core.Tables.Remote.Sql;

// sqlite_table(5): a database file, read by SQLite's own library, which is loaded by the first table that needs it. A query
// blocks (a lock, a table scan), so queries have threads of their own and are interrupted at their deadline. A file that was
// replaced is opened anew; the file is opened for reading only. As in Postfix, the first column of each row counts.

/// <summary><c>sqlite:/file</c>.</summary>
internal sealed class SqliteTable : SqlTable
{
    /// <summary>A writer's lock is waited for so long.</summary>
    private static readonly TimeSpan LockWait = TimeSpan.FromSeconds(5);

    private readonly string _path;
    private readonly DiskThreads _threads;
    private readonly Lock _lock = new();
    private readonly Stack<Database> _idle = new();
    private bool _closed;

    private SqliteTable(RemoteTableSource source, TableConfigurationFile settings)
        : base(source, settings, hasSelectFunction: false)
    {
        _path = settings.Require("dbpath");
        _threads = new DiskThreads("sqlite", source.Options.Connections);
    }

    public override bool IsRemote => false;

    public static ILookupTable Open(RemoteTableSource source)
    {
        var table = new SqliteTable(source, TableConfigurationFile.Open(source));
        return NativeLibrary.TryLoad(Sqlite.Library, out _)
            ? table
            : throw new RemoteConfigurationException($"{source.Name}: {Sqlite.Library} cannot be loaded: install the package libsqlite3-0");
    }

    protected override async ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        string query = Query(key, static part => part.Replace("'", "''", StringComparison.Ordinal));
        var answer = new TaskCompletionSource<List<string?>>(TaskCreationOptions.RunContinuationsAsynchronously);
        _threads.Queue(() =>
        {
            try
            {
                answer.SetResult(Run(query, deadline));
            }
#pragma warning disable CA1031 // Whatever it is belongs to the one who waits; it must not end the thread.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                answer.SetException(failure);
            }
        });
        return Join(key, await answer.Task);
    }

    protected override void Close()
    {
        lock (_lock)
        {
            _closed = true;
            while (_idle.TryPop(out Database? database))
            {
                database.Dispose();
            }
        }
    }

    private List<string?> Run(string query, CancellationToken deadline)
    {
        deadline.ThrowIfCancellationRequested();
        Database database = Take();
        List<string?> values;
        try
        {
            using CancellationTokenRegistration interruption = deadline.Register(database.Interrupt);
            values = database.Query(query, deadline);
        }
        catch
        {
            // A fresh connection has no doubtful state.
            database.Dispose();
            throw;
        }

        lock (_lock)
        {
            if (_closed)
            {
                database.Dispose();
            }
            else
            {
                _idle.Push(database);
            }
        }

        return values;
    }

    private Database Take()
    {
        if (!FileStamp.TryGet(_path, out FileStamp now, out int errno))
        {
            throw new RemoteFailure($"Can't open database: {_path}: {Libc.ErrorText(errno)}");
        }

        lock (_lock)
        {
            while (_idle.TryPop(out Database? idle))
            {
                if (idle.File == (now.Device, now.Inode))
                {
                    return idle;
                }

                idle.Dispose();
            }
        }

        TimeSpan wait = Timeout < LockWait ? Timeout : LockWait;
        return new Database(_path, (now.Device, now.Inode), (int)wait.TotalMilliseconds);
    }

    private sealed class Database : IDisposable
    {
        private readonly Lock _handleLock = new();
        private IntPtr _handle;

        public Database(string path, (ulong Device, ulong Inode) file, int lockWaitMilliseconds)
        {
            File = file;
            if (Sqlite.Open(path, out _handle, Sqlite.OpenReadOnly | Sqlite.OpenFullMutex, IntPtr.Zero) != 0)
            {
                RemoteFailure failure = Failure($"Can't open database: {path}");
                Dispose();
                throw failure;
            }

            _ = Sqlite.BusyTimeout(_handle, lockWaitMilliseconds);
        }

        public (ulong Device, ulong Inode) File { get; }

        public void Interrupt()
        {
            lock (_handleLock)
            {
                if (_handle != IntPtr.Zero)
                {
                    Sqlite.Interrupt(_handle);
                }
            }
        }

        public List<string?> Query(string query, CancellationToken deadline)
        {
            byte[] text = TableText.Encode(query);
            if (Sqlite.Prepare(_handle, text, text.Length, out IntPtr statement, IntPtr.Zero) != 0)
            {
                throw Failure("SQL prepare failed");
            }

            try
            {
                var values = new List<string?>();
                long size = 0;
                int status;
                while ((status = statement == IntPtr.Zero ? Sqlite.Done : Sqlite.Step(statement)) == Sqlite.Row)
                {
                    string? value = Column(statement);
                    size += 16 + (value?.Length ?? 0);
                    CheckSize(size);
                    values.Add(value);
                }

                deadline.ThrowIfCancellationRequested();
                return status == Sqlite.Done ? values : throw Failure("SQL step failed");
            }
            finally
            {
                _ = Sqlite.Finish(statement);
            }
        }

        public void Dispose()
        {
            lock (_handleLock)
            {
                if (_handle != IntPtr.Zero)
                {
                    _ = Sqlite.Close(_handle);
                    _handle = IntPtr.Zero;
                }
            }
        }

        private static unsafe string? Column(IntPtr statement)
        {
            IntPtr text = Sqlite.ColumnText(statement, 0);
            if (text == IntPtr.Zero)
            {
                return null;
            }

            var bytes = new ReadOnlySpan<byte>((void*)text, Sqlite.ColumnBytes(statement, 0));
            int end = bytes.IndexOf((byte)0);
            return TableText.Decode(end < 0 ? bytes : bytes[..end]);
        }

        private RemoteFailure Failure(string what) =>
            new($"{what}: {(_handle == IntPtr.Zero ? "out of memory" : Marshal.PtrToStringUTF8(Sqlite.ErrorMessage(_handle)))}");
    }
}
