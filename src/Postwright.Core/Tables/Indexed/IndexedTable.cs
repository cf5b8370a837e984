using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;

namespace Postwright.Core.Tables.Indexed;

// Tables that postmap makes: hash and btree, lmdb, cdb. Each lookup looks whether the path still names the open file, and reads
// the first page anew when the file has changed; so a changed or replaced file counts at the next lookup. For hash and btree
// it takes the shared flock that Postfix's own readers take, so that a postmap that rewrites the file in place is waited
// for, without a thread. A file that is missing, damaged or locked for too long is a temporary error, warned of once for
// each reason.

/// <summary>An indexed file as a lookup table.</summary>
internal sealed class IndexedTable : ILookupTable, IOpenCheck, IListable, IBulkTable, IDisposable
{
    /// <summary>How long a lookup waits for a writer; a postmap of a million entries takes some seconds.</summary>
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Files that a writer changes faster than a lookup ends; each round is a whole lookup.</summary>
    private const int MaxRounds = 100;

    private readonly string _source;
    private readonly string _path;
    private readonly IndexKind _kind;
    private readonly MailLog _log;
    private readonly TimeProvider _time;
    private readonly TableUse _use;
    private readonly Lock _lock = new();
    private SafeFileHandle? _file;
    private IndexFile? _content;
    private IndexReader? _reader;
    private FileStamp _stamp;
    private FileStamp _metaStamp;
    private bool _metaCounts;
    private string? _reported;
    private TableUse _nul;
    private bool _disposed;

    public IndexedTable(IndexKind kind, string name, string source, TableOpener opener)
    {
        Name = name;
        _kind = kind;
        _source = source;
        _path = source + kind.Suffix;
        _log = opener.Log;
        _time = opener.Time;
        _use = opener.Use;
        _nul = _use & (TableUse.TryWithNul | TableUse.TryWithoutNul);
    }

    public string Name { get; }

    /// <summary>The name that Postfix's messages have.</summary>
    public string NameInMessages => Name + (_kind.NameHasSuffix ? _kind.Suffix : "");

    public bool MatchesWholeKeysOnly => false;

    public bool CanList => _kind.CanList;

    public bool Folds => (_use & TableUse.Fold) != 0;

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
                return _reader!.ReadMeta() ? null : _kind.NotOfThisKind(_path);
            }
            finally
            {
                Unlock();
            }
        }
    }

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        byte[] bytes = TableText.EncodeWithNul(TableText.Fold(key, _use));
        return bytes.Length == 1 ? new(LookupResult.NotFound)
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

            WaitForLock();
            try
            {
                if (_reader!.ReadMeta())
                {
                    _reader.List((key, value) => entry(ToText(key), ToText(value)));
                }

                return _reader.Damage is { } damage ? $"{_path} is damaged: {damage}" : null;
            }
            finally
            {
                Unlock();
            }
        }
    }

    public bool Hold()
    {
        _lock.Enter();
        for (int attempt = 0; attempt < 3 && !_disposed && Open() is null; attempt++)
        {
            _content!.KeepsContent = true;
            WaitForLock();
            if (IsNamed(out FileStamp now) && ReadMeta(now))
            {
                return true;
            }

            Unlock();
            Close();
        }

        _lock.Exit();
        return false;
    }

    public void Release()
    {
        Unlock();
        _lock.Exit();
    }

    public LookupStatus Find(ReadOnlySpan<byte> keyWithNul, out ReadOnlySpan<byte> value)
    {
        IndexOutcome outcome = Search(keyWithNul, out value);
        value = ToText(outcome, value);
        return outcome switch
        {
            IndexOutcome.Found => LookupStatus.Found,
            IndexOutcome.NotFound => LookupStatus.NotFound,
            _ => LookupStatus.TemporaryError,
        };
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            Close();
        }
    }

    private static ReadOnlySpan<byte> ToText(IndexOutcome outcome, ReadOnlySpan<byte> value) =>
        outcome == IndexOutcome.Found && value.IndexOf((byte)0) is >= 0 and int end ? value[..end] : value;

    /// <summary>Text ends at the first NUL, which Postfix stores behind keys and values.</summary>
    private static string ToText(ReadOnlySpan<byte> bytes) => TableText.Decode(ToText(IndexOutcome.Found, bytes));

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
                    if (IsNamed(out FileStamp now))
                    {
                        return Answer(key, now);
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

    private bool IsNamed(out FileStamp now) =>
        FileStamp.TryGet(_path, out now, out _) && now.Inode == _stamp.Inode && now.Device == _stamp.Device;

    private LookupResult Answer(byte[] key, FileStamp now)
    {
        IndexOutcome outcome = IndexOutcome.Damaged;
        if (ReadMeta(now))
        {
            outcome = Search(key, out ReadOnlySpan<byte> value);
            if (outcome is IndexOutcome.Found or IndexOutcome.NotFound)
            {
                _reported = null;
                return outcome == IndexOutcome.Found ? LookupResult.Found(ToText(value)) : LookupResult.NotFound;
            }
        }

        _metaCounts = false;
        return Unusable(outcome == IndexOutcome.Changed ? $"{_path} keeps changing" : $"{_path} is damaged: {_reader!.Damage}");
    }

    /// <summary>Looks for the key with its NUL and without, until one way has found something.</summary>
    private IndexOutcome Search(ReadOnlySpan<byte> keyWithNul, out ReadOnlySpan<byte> value)
    {
        IndexOutcome outcome = IndexOutcome.NotFound;
        value = default;
        for (int round = 0; round < MaxRounds; round++)
        {
            if ((_nul & TableUse.TryWithNul) != 0)
            {
                outcome = _reader!.Find(keyWithNul, out value);
                _nul = outcome == IndexOutcome.Found ? TableUse.TryWithNul : _nul;
            }

            if (outcome == IndexOutcome.NotFound && (_nul & TableUse.TryWithoutNul) != 0)
            {
                outcome = _reader!.Find(keyWithNul[..^1], out value);
                _nul = outcome == IndexOutcome.Found ? TableUse.TryWithoutNul : _nul;
            }

            if (outcome != IndexOutcome.Changed)
            {
                break;
            }
        }

        return outcome;
    }

    /// <summary>Reads the first page, unless the file is as it was and has been so for longer than a time stamp's coarseness.</summary>
    private bool ReadMeta(FileStamp now)
    {
        if (_metaCounts && now == _metaStamp)
        {
            return true;
        }

        _metaStamp = now;
        bool whole = _reader!.ReadMeta();
        _metaCounts = whole && _time.GetUtcNow().ToUnixTimeSeconds() - now.Seconds > 2;
        return whole;
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
            bool directory = (_stamp.Mode & 0xF000) == 0x4000;
            Close();
            return $"open database {_path}: {(directory ? Libc.ErrorText(Libc.IsADirectory) : "Invalid argument")}";
        }

        _content = new IndexFile(_file);
        _reader = _kind.MakeReader(_content);
        _metaCounts = false;
        _nul = _use & (TableUse.TryWithNul | TableUse.TryWithoutNul);
        if (IndexKind.NewerSource(_source, _path, _stamp, _time) is { } warning)
        {
            _log.Warning(warning);
        }

        return null;
    }

    private bool TakeLock(bool wait)
    {
        if (_kind.Lock != IndexLock.Whole || Libc.Flock(_file!, Libc.LockShared | (wait ? 0 : Libc.LockNonBlocking)) == 0)
        {
            return true;
        }

        // A file system without locks has no writer that we could wait for.
        return Marshal.GetLastPInvokeError() is not (Libc.WouldBlock or Libc.Interrupted);
    }

    private void WaitForLock()
    {
        while (!TakeLock(wait: true))
        {
            // Interrupted by a signal.
        }
    }

    private void Unlock()
    {
        if (_kind.Lock == IndexLock.Whole)
        {
            _ = Libc.Flock(_file!, Libc.Unlock);
        }
    }

    private void Close()
    {
        _file?.Dispose();
        _file = null;
        _content = null;
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
}
