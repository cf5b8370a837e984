using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;

namespace Postwright.Core.Tables.Indexed;

/// <summary>What becomes of a second entry with the same key.</summary>
internal enum DuplicateRule
{
    /// <summary>The first one stays, with a warning.</summary>
    Warn,

    /// <summary>The first one stays (<c>-w</c>).</summary>
    Ignore,

    /// <summary>The last one counts (<c>-r</c>).</summary>
    Replace,
}

/// <summary>What to write.</summary>
/// <param name="Kind">The kind of file.</param>
/// <param name="Source">The path without suffix.</param>
/// <param name="Size">How long the source is; some kinds must know beforehand how much comes.</param>
/// <param name="Mode">The mode of a file that is not there yet.</param>
/// <param name="Use">Folding and NULs.</param>
/// <param name="Duplicates">What to do with equal keys.</param>
/// <param name="Warn">Takes warnings.</param>
/// <param name="Time">Says how old a source is.</param>
internal sealed record IndexWork(
    IndexKind Kind, string Source, long Size, uint Mode, TableUse Use, DuplicateRule Duplicates, Action<string> Warn, TimeProvider Time);

// Writing an indexed file. A build goes to a new file beside the old one, is synced and renamed over it, so that readers see the
// old table or the new one and a crash leaves the old one; owner and mode of an existing file are kept. Where the directory
// is not ours to write but the file is, it is rewritten in place, as Postfix does. Updates and deletions are in place.
// Whoever writes holds the exclusive lock of the file that is there, which Postfix's programs respect, and our readers too.

/// <summary>Writes one indexed file.</summary>
internal sealed class IndexWriter : IDisposable
{
    private readonly IndexWork _work;
    private readonly IndexKind _kind;
    private readonly string _source;
    private readonly string _path;
    private readonly TableUse _use;
    private readonly Action<string> _warn;
    private readonly EncodedText _key = new();
    private readonly EncodedText _value = new();
    private SafeFileHandle? _lock;
    private IIndexStore? _store;
    private string? _temporary;
    private int _descriptor = -1;
    private string _target;

    private IndexWriter(IndexWork work)
    {
        _work = work;
        _kind = work.Kind;
        _source = work.Source;
        _path = _source + _kind.Suffix;
        _target = _path;
        _use = work.Use;
        _warn = work.Warn;
    }

    /// <summary>The table's name, with its type.</summary>
    public string Name => $"{_kind.Type}:{_source}";

    /// <summary>Begins to build the table anew; null and the reason when that cannot be done.</summary>
    public static IndexWriter? Build(IndexWork work, out string? error)
    {
        var writer = new IndexWriter(work);
        error = writer.Lock(mustExist: false) ?? writer.StartBuild(work.Mode);
        return error is null ? writer : Abandon(writer);
    }

    /// <summary>Opens the table to add or remove entries; null and the reason when that cannot be done.</summary>
    public static IndexWriter? Update(IndexWork work, bool create, out string? error)
    {
        var writer = new IndexWriter(work);
        error = writer._kind.CannotUpdate ?? writer.Lock(mustExist: !create && !writer._kind.DeletionCreates);
        if (error is null && writer._lock is null)
        {
            error = writer.StartBuild(work.Mode);
        }
        else
        {
            error ??= writer.OpenInPlace();
        }

        return error is null ? writer : Abandon(writer);
    }

    /// <summary>Stores an entry; null or what went wrong.</summary>
    public string? Put(string key, string value) =>
        Put(TableText.Fold(key, _use), value, _work.Duplicates);

    /// <summary>Stores an entry under a key that is not folded, over one that is there.</summary>
    public string? PutVerbatim(string key, string value) => Put(key, value, DuplicateRule.Replace);

    private string? Put(string key, string value, DuplicateRule duplicates)
    {
        bool nul = (_use & TableUse.TryWithNul) != 0 || ((_use & TableUse.TryWithoutNul) == 0 && _kind.WritesNul);
        bool? stored = _store!.Put(_key.Encode(key, nul), _value.Encode(value, nul), duplicates == DuplicateRule.Replace, out string? error);
        if (stored is false && duplicates == DuplicateRule.Warn)
        {
            _warn($"{_kind.NameOfDuplicates(_source)}: duplicate entry: \"{key}\"");
        }

        return error is null ? null : _kind.Failure(_source, error);
    }

    /// <summary>Removes an entry; null or what went wrong.</summary>
    public string? Delete(string key, out bool deleted)
    {
        deleted = false;
        string folded = TableText.Fold(key, _use);
        bool either = (_use & (TableUse.TryWithNul | TableUse.TryWithoutNul)) == 0;
        foreach (bool nul in (ReadOnlySpan<bool>)[true, false])
        {
            if (deleted || (!either && (_use & (nul ? TableUse.TryWithNul : TableUse.TryWithoutNul)) == 0))
            {
                continue;
            }

            ReadOnlySpan<byte> bytes = _key.Encode(folded, nul);
            string? error = null;
            if (bytes.Length > 0 && _store!.Delete(bytes, out error) is { } done)
            {
                deleted = done;
            }
            else if (bytes.Length > 0)
            {
                return _kind.Failure(_source, error ?? "delete error");
            }
        }

        return null;
    }

    /// <summary>Makes what was written count; null or why it does not.</summary>
    public string? Finish()
    {
        IIndexStore store = _store!;
        _store = null;
        if (store.Close() is { } error)
        {
            return error;
        }

        if (_temporary is null)
        {
            return SyncFile(_path);
        }

        int status = DeliveryFile.Sync(_descriptor);
        if (status < 0)
        {
            return $"sync {_temporary}: {DeliveryFile.ErrorText(status)}";
        }

        status = DeliveryFile.Rename(_temporary, _target);
        if (status < 0)
        {
            return $"rename {_temporary}: {DeliveryFile.ErrorText(status)}";
        }

        _temporary = null;
        return SyncFile(Path.GetDirectoryName(Path.GetFullPath(_target))!);
    }

    /// <summary>Ends without a result: what was built is removed.</summary>
    public void Dispose()
    {
        _store?.Dispose();
        _store = null;
        if (_temporary is not null)
        {
            DeliveryFile.Unlink(_temporary);
            _temporary = null;
        }

        if (_descriptor >= 0)
        {
            DeliveryFile.Close(_descriptor);
            _descriptor = -1;
        }

        _lock?.Dispose();
        _lock = null;
    }

    private static IndexWriter? Abandon(IndexWriter writer)
    {
        writer.Dispose();
        return null;
    }

    private static string? SyncFile(string path)
    {
        int descriptor = DeliveryFile.Open(path, 0);
        if (descriptor < 0)
        {
            return $"open {path}: {DeliveryFile.ErrorText(descriptor)}";
        }

        int status = DeliveryFile.Sync(descriptor);
        DeliveryFile.Close(descriptor);
        return status < 0 ? $"sync {path}: {DeliveryFile.ErrorText(status)}" : null;
    }

    /// <summary>Locks the file that is there, and makes sure that it is still there once locked.</summary>
    private string? Lock(bool mustExist)
    {
        while (true)
        {
            _lock = Libc.Open(_path, Libc.ReadWrite, 0, out int errno);
            if (_lock is null)
            {
                return !mustExist && errno == Libc.NoSuchFile ? null : $"open database {_path}: {Libc.ErrorText(errno)}";
            }

            _kind.LockForWriting(_lock);

            if (FileStamp.TryGet(_lock, out FileStamp locked) && FileStamp.TryGet(_path, out FileStamp named, out _)
                && locked.Inode == named.Inode && locked.Device == named.Device)
            {
                if (!locked.IsRegular || locked.Size > 0)
                {
                    return locked.IsRegular ? null : $"open database {_path}: Invalid argument";
                }

                if (mustExist)
                {
                    return $"open database {_path}: Invalid argument";
                }

                // What an interrupted Postfix left; it may have an owner and a mode that nobody chose.
                _warn($"removing zero-length database file: {_path}");
                int status = DeliveryFile.Unlink(_path);
                if (status < 0)
                {
                    return $"remove zero-length database file: {_path}: {DeliveryFile.ErrorText(status)}";
                }
            }

            _lock.Dispose();
            _lock = null;
        }
    }

    private string? StartBuild(uint mode)
    {
        _target = Path.GetFullPath(_path);
        try
        {
            _target = _lock is null ? _target : SystemFiles.LinkTarget(_target) ?? _target;
        }
        catch (IOException e)
        {
            return $"open database {_path}: {e.Message}";
        }

#pragma warning disable RS0030 // A tool: postmap beside another postmap.
        string temporary = $"{_target}.{Environment.ProcessId}.{Guid.NewGuid().ToString("N")[..8]}";
#pragma warning restore RS0030
        int descriptor = DeliveryFile.Open(temporary, Libc.ReadWrite | Libc.CreateNew, 0x180);
        if (descriptor < 0)
        {
            return _lock is null ? $"open database {_path}: {DeliveryFile.ErrorText(descriptor)}" : OpenStore(_path, anew: true);
        }

        _temporary = temporary;
        int status = DeliveryFile.ChangeMode(descriptor, mode);
        if (_lock is not null && FileStamp.TryGet(_lock, out FileStamp old))
        {
            // Owner before mode: changing the owner takes mode bits away. An owner that we may not give stays ours.
            _ = DeliveryFile.ChangeOwner(descriptor, old.Uid, old.Gid);
            status = DeliveryFile.ChangeMode(descriptor, old.Mode & 0xfff);
        }

        // By its descriptor: whoever may write in the directory cannot put another file in the place of this one.
        string? error = status < 0
            ? $"open database {_path}: {DeliveryFile.ErrorText(status)}"
            : OpenStore($"/proc/self/fd/{descriptor}", anew: true);
        _descriptor = descriptor;
        return error;
    }

    private string? OpenInPlace()
    {
        // No library is given a file whose first page does not hold.
        IndexReader reader = _kind.MakeReader(new IndexFile(_lock!));
        if (!reader.ReadMeta())
        {
            return _kind.NotOfThisKind(_path);
        }

        if (FileStamp.TryGet(_lock!, out FileStamp stamp) && IndexKind.NewerSource(_source, _path, stamp, _work.Time) is { } warning)
        {
            _warn(warning);
        }

        return OpenStore(_path, anew: false);
    }

    private string? OpenStore(string path, bool anew)
    {
        long length = FileStamp.TryGet(path, out FileStamp stamp, out _) ? (long)stamp.Size : 0;
        _store = _kind.OpenStore(path, anew, length, _work.Size, out string? error);
        return error?.Replace(path, _path, StringComparison.Ordinal);
    }
}
