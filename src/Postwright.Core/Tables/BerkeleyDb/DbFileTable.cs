using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;

namespace Postwright.Core.Tables.BerkeleyDb;

// hash: and btree: tables. Each lookup takes the shared flock that Postfix's own readers take, so that a postmap that
// rewrites the file in place is waited for; it looks whether the path still names the open file, and reads the first page
// anew when the file has changed. So a changed or replaced file counts at the next lookup. A lock that is held is waited for without a thread. A
// file that is missing, damaged or locked for too long is a temporary error, warned of once for each reason.

/// <summary>A Berkeley DB file as a lookup table.</summary>
internal sealed class DbFileTable : ILookupTable, IOpenCheck, IListable, IDisposable
{
    /// <summary>How long a lookup waits for a writer; a postmap of a million entries takes some seconds.</summary>
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);

    private readonly string _source;
    private readonly string _path;
    private readonly Func<DbPages, DbReader> _makeReader;
    private readonly MailLog _log;
    private readonly TimeProvider _time;
    private readonly TableUse _use;
    private readonly Lock _lock = new();
    private SafeFileHandle? _file;
    private DbReader? _reader;
    private FileStamp _stamp;
    private FileStamp _metaStamp;
    private bool _metaCounts;
    private string? _reported;
    private TableUse _nul;
    private bool _disposed;

    private DbFileTable(string name, string source, TableOpener opener, Func<DbPages, DbReader> makeReader)
    {
        Name = name;
        _source = source;
        _path = source + ".db";
        _makeReader = makeReader;
        _log = opener.Log;
        _time = opener.Time;
        _use = opener.Use;
        _nul = _use & (TableUse.TryWithNul | TableUse.TryWithoutNul);
    }

    public string Name { get; }

    public bool MatchesWholeKeysOnly => false;

    /// <summary>Makes a <c>hash:</c> table.</summary>
    public static DbFileTable Hash(string name, string source, TableOpener opener) => new(name, source, opener, pages => new HashReader(pages));

    /// <summary>Makes a <c>btree:</c> table.</summary>
    public static DbFileTable Btree(string name, string source, TableOpener opener) => new(name, source, opener, pages => new BtreeReader(pages));

    public string? CheckOpen()
    {
        lock (_lock)
        {
            string? error = Open();
            if (error is not null || !TakeLock(wait: false))
            {
                return error;
            }

            try
            {
                return _reader!.ReadMeta() ? null : $"open database {_path}: Invalid argument";
            }
            finally
            {
                Unlock();
            }
        }
    }

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        byte[] bytes = TableText.Encode((_use & TableUse.Fold) != 0 ? TableText.Fold(key) : key);
        return bytes.Length == 0 ? new(LookupResult.NotFound)
            : TryLookup(bytes) is { } result ? new(result) : LookupWhenUnlockedAsync(bytes, cancellationToken);
    }

    public string? List(Action<string, string> entry)
    {
        lock (_lock)
        {
            string? error = Open();
            if (error is not null)
            {
                return error;
            }

            while (!TakeLock(wait: true))
            {
                // Interrupted by a signal.
            }

            try
            {
                if (_reader!.ReadMeta())
                {
                    foreach (KeyValuePair<byte[], byte[]> pair in _reader.Entries())
                    {
                        entry(ToText(pair.Key), ToText(pair.Value));
                    }
                }

                return _reader.Pages.Damage is { } damage ? $"{_path} is damaged: {damage}" : null;
            }
            finally
            {
                Unlock();
            }
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            Close();
        }
    }

    private async ValueTask<LookupResult> LookupWhenUnlockedAsync(byte[] key, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        while (_time.GetElapsedTime(start) < LockLimit)
        {
            await Task.Delay(LockPause, _time, cancellationToken);
            if (TryLookup(key) is { } result)
            {
                return result;
            }
        }

        return Unusable($"{_path} is locked by another process");
    }

    /// <summary>The answer, or null while a writer holds the lock.</summary>
    private LookupResult? TryLookup(byte[] key)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return Unusable("the table is closed");
            }

            // Twice at most: the second time the file is the one that the path names now.
            for (int attempt = 0; attempt < 3; attempt++)
            {
                if (Open() is { } error)
                {
                    return Unusable(error);
                }

                if (!TakeLock(wait: false))
                {
                    return null;
                }

                try
                {
                    if (FileStamp.TryGet(_path, out FileStamp now, out _) && now.Inode == _stamp.Inode && now.Device == _stamp.Device)
                    {
                        return Find(key, now);
                    }
                }
                finally
                {
                    Unlock();
                }

                Close();
            }

            return Unusable($"{_path} keeps changing");
        }
    }

    private LookupResult Find(byte[] key, FileStamp now)
    {
        if (!ReadMeta(now))
        {
            return Unusable($"{_path} is damaged: {_reader!.Pages.Damage}");
        }

        TableUse undecided = _nul;
        foreach (TableUse nul in (ReadOnlySpan<TableUse>)[TableUse.TryWithNul, TableUse.TryWithoutNul])
        {
            if ((undecided & nul) == 0)
            {
                continue;
            }

            switch (_reader!.Find(nul == TableUse.TryWithNul ? [.. key, 0] : key, out byte[]? value))
            {
                case DbOutcome.Found:
                    _nul = nul;
                    _reported = null;
                    return LookupResult.Found(ToText(value!));
                case DbOutcome.Damaged:
                    _metaCounts = false;
                    return Unusable($"{_path} is damaged: {_reader.Pages.Damage}");
                default:
                    break;
            }
        }

        _reported = null;
        return LookupResult.NotFound;
    }

    /// <summary>Reads the first page, unless the file is as it was and has been so for longer than a time stamp's coarseness.</summary>
    private bool ReadMeta(FileStamp now)
    {
        if (_metaCounts && now == _metaStamp)
        {
            _reader!.Pages.Damage = null;
            return true;
        }

        _metaStamp = now;
        _metaCounts = _reader!.ReadMeta() && _time.GetUtcNow().ToUnixTimeSeconds() - now.Seconds > 2;
        return _reader.Pages.Damage is null;
    }

    /// <summary>Opens the file when it is not; null or the reason why it cannot be.</summary>
    private string? Open()
    {
        if (_file is not null)
        {
            return null;
        }

        _file = Libc.Open(_path, Libc.ReadOnly, 0, out int errno);
        if (_file is null)
        {
            return $"open database {_path}: {Libc.ErrorText(errno)}";
        }

        if (!FileStamp.TryGet(_file, out _stamp) || !_stamp.IsRegular)
        {
            Close();
            return $"open database {_path}: Invalid argument";
        }

        _reader = _makeReader(new DbPages(_file));
        _metaCounts = false;
        _nul = _use & (TableUse.TryWithNul | TableUse.TryWithoutNul);
        WarnOfNewerSource();
        return null;
    }

    private void WarnOfNewerSource()
    {
        // Not of a source that was written just now: somebody is about to run postmap.
        if (FileStamp.TryGet(_source, out FileStamp source, out _) && source.Seconds > _stamp.Seconds
            && source.Seconds < _time.GetUtcNow().ToUnixTimeSeconds() - 100)
        {
            _log.Warning($"database {_path} is older than source file {_source}");
        }
    }

    private bool TakeLock(bool wait)
    {
        if (Libc.Flock(_file!, Libc.LockShared | (wait ? 0 : Libc.LockNonBlocking)) == 0)
        {
            return true;
        }

        // A file system without locks has no writer that we could wait for.
        return Marshal.GetLastPInvokeError() is not (Libc.WouldBlock or Libc.Interrupted);
    }

    private void Unlock() => _ = Libc.Flock(_file!, Libc.Unlock);

    private void Close()
    {
        _file?.Dispose();
        _file = null;
        _reader = null;
    }

    private LookupResult Unusable(string reason)
    {
        if (_reported != reason)
        {
            _reported = reason;
            _log.Warning($"{Name} is unavailable. {reason}");
        }

        return LookupResult.TemporaryError($"{Name} is unavailable. {reason}");
    }

    /// <summary>Text ends at the first NUL, which Postfix stores behind keys and values.</summary>
    private static string ToText(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return TableText.Decode(end < 0 ? bytes : bytes[..end]);
    }
}
