using Postwright.Core.Seams;

namespace Postwright.Testing.Disk;

/// <summary>The calls a fault can hit.</summary>
public enum DiskCall
{
    /// <summary>Opening an existing file.</summary>
    Open,

    /// <summary>Making a file.</summary>
    Create,

    /// <summary>Reading.</summary>
    Read,

    /// <summary>Writing.</summary>
    Write,

    /// <summary>Making room for a file.</summary>
    Preallocate,

    /// <summary>Making a file shorter.</summary>
    Truncate,

    /// <summary>fdatasync.</summary>
    Sync,

    /// <summary>Renaming.</summary>
    Rename,

    /// <summary>Deleting.</summary>
    Delete,

    /// <summary>Syncing a directory.</summary>
    SyncDirectory,
}

/// <summary>
/// A disk in memory that records every write, sync and change of a name, so that every prefix of its history can be cut
/// short by a power failure (<see cref="DiskImage"/>), and that fails where <see cref="Fault"/> says. One thread at a time.
/// A batch's sync completes when <see cref="CompleteBatch"/> is called, so that a test decides what waits meanwhile.
/// </summary>
public sealed class SimulatedDisk : IDisk
{
    private readonly Dictionary<string, SimulatedFile> _names = [];
    private int _files;

    /// <summary>An empty disk.</summary>
    public SimulatedDisk()
        : this([])
    {
    }

    /// <summary>A disk with these files, all synced.</summary>
    public SimulatedDisk(IEnumerable<(string Name, byte[] Bytes)> files)
    {
        FirstFiles = [.. files];
        foreach ((string name, byte[] bytes) in FirstFiles)
        {
            _names[name] = new SimulatedFile(this, -1 - _names.Count, [.. bytes]);
        }
    }

    /// <summary>What was there at first.</summary>
    public IReadOnlyList<(string Name, byte[] Bytes)> FirstFiles { get; }

    /// <summary>Everything that happened.</summary>
    public List<DiskEvent> History { get; } = [];

    /// <summary>Asked before every call: 0 to go on, or the errno to fail with.</summary>
    public Func<DiskCall, string, int> Fault { get; set; } = static (_, _) => 0;

    /// <summary>Bytes that all files may have together; making room for more fails with ENOSPC.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <summary>What statvfs says.</summary>
    public long Free { get; set; } = long.MaxValue;

    /// <summary>The batch whose sync is awaited, if any.</summary>
    internal (SimulatedFile File, TaskCompletionSource<int> Done)? Batch { get; set; }

    /// <summary>Files that were opened and not disposed.</summary>
    public int OpenHandles { get; private set; }

    /// <summary>True while a batch is written but its sync is not done.</summary>
    public bool IsBatchPending => Batch is not null;

    /// <summary>The names of all files.</summary>
    public IReadOnlyCollection<string> Names => _names.Keys;

    /// <summary>The bytes of a file as a reader sees them, to be looked at or damaged.</summary>
    public byte[] Bytes(string name) => _names[name].Content;

    /// <summary>Ends the sync of the batch under way; what waits for it goes on inside this call.</summary>
    public void CompleteBatch()
    {
        if (Batch is { } batch)
        {
            Batch = null;
            batch.Done.SetResult(batch.File.TrySync());
        }
    }

    /// <summary>The process is killed: locks go, and nobody waits any more.</summary>
    public void Kill()
    {
        Batch = null;
        foreach (SimulatedFile file in _names.Values)
        {
            file.Locked = false;
        }
    }

    /// <inheritdoc />
    public IDiskFile Open(string path, DiskOpen mode)
    {
        Check(mode == DiskOpen.CreateNew ? DiskCall.Create : DiskCall.Open, path);
        bool exists = _names.TryGetValue(path, out SimulatedFile? file);
        if (mode == DiskOpen.CreateNew)
        {
            if (exists)
            {
                throw new DiskException("open", path, DiskException.Exists);
            }

            _names[path] = file = new SimulatedFile(this, ++_files, []);
            History.Add(new DiskEvent(DiskEventKind.Create, file.Number, path));
        }

        OpenHandles += file is null ? 0 : 1;
        return new Handle(file ?? throw new DiskException("open", path, DiskException.NoSuchFile), path);
    }

    /// <inheritdoc />
    public void Rename(string from, string to)
    {
        Check(DiskCall.Rename, from);
        if (!_names.Remove(from, out SimulatedFile? file))
        {
            throw new DiskException("rename", from, DiskException.NoSuchFile);
        }

        _names[to] = file;
        History.Add(new DiskEvent(DiskEventKind.Rename, file.Number, to, from));
    }

    /// <inheritdoc />
    public void Delete(string path)
    {
        Check(DiskCall.Delete, path);
        if (_names.Remove(path, out SimulatedFile? file))
        {
            History.Add(new DiskEvent(DiskEventKind.Delete, file.Number, path));
        }
    }

    /// <inheritdoc />
    public void CreateDirectory(string path)
    {
    }

    /// <inheritdoc />
    public void SyncDirectory(string path)
    {
        Check(DiskCall.SyncDirectory, path);
        History.Add(new DiskEvent(DiskEventKind.SyncDirectory));
    }

    /// <inheritdoc />
    public IReadOnlyList<string> List(string directory) =>
        [.. _names.Keys.Where(name => Path.GetDirectoryName(name) == directory).Select(name => Path.GetFileName(name)).Order(StringComparer.Ordinal)];

    /// <inheritdoc />
    public long FreeBytes(string directory) => Free;

    /// <inheritdoc />
    public Task OffloadAsync(Action work)
    {
        try
        {
            work();
            return Task.CompletedTask;
        }
        catch (Exception failure)
        {
            return Task.FromException(failure);
        }
    }

    internal void Check(DiskCall call, string path)
    {
        int errno = Fault(call, path);
        if (errno != 0)
        {
            throw new DiskException(call.ToString(), path, errno);
        }
    }

    /// <summary>An open file: handles of one file share its bytes.</summary>
    private sealed class Handle(SimulatedFile file, string path) : IDiskFile
    {
        private bool _locked;
        private bool _disposed;

        public long Length => file.Content.Length;

        public int Read(Span<byte> buffer, long offset)
        {
            file.Disk.Check(DiskCall.Read, path);
            int count = (int)Math.Clamp(file.Content.Length - offset, 0, buffer.Length);
            file.Content.AsSpan((int)Math.Min(offset, file.Content.Length), count).CopyTo(buffer);
            return count;
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            int errno = file.Disk.Fault(DiskCall.Write, path);
            if (errno != 0)
            {
                file.Write(bytes[..(bytes.Length / 2)], offset);
                throw new DiskException("write", path, errno);
            }

            file.Write(bytes, offset);
        }

        public void Preallocate(long length)
        {
            file.Disk.Check(DiskCall.Preallocate, path);
            if (file.Disk._names.Values.Sum(static one => (long)one.Content.Length) + length - file.Content.Length > file.Disk.Capacity)
            {
                throw new DiskException("fallocate", path, DiskException.NoSpace);
            }

            file.Extend(length);
        }

        public void Truncate(long length)
        {
            file.Disk.Check(DiskCall.Truncate, path);
            file.Truncate(length);
        }

        public void Sync()
        {
            int errno = file.TrySync();
            if (errno != 0)
            {
                throw new DiskException("fdatasync", path, errno);
            }
        }

        public ValueTask<int> WriteAndSyncAsync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset, bool onCallersThread)
        {
            foreach (ReadOnlyMemory<byte> part in parts)
            {
                try
                {
                    Write(part.Span, offset);
                }
                catch (DiskException failure)
                {
                    return ValueTask.FromResult(failure.Errno);
                }

                offset += part.Length;
            }

            var done = new TaskCompletionSource<int>();
            file.Disk.Batch = (file, done);
            return new ValueTask<int>(done.Task);
        }

        public bool TryLock()
        {
            if (file.Locked)
            {
                return false;
            }

            return file.Locked = _locked = true;
        }

        public void Dispose()
        {
            file.Disk.OpenHandles -= _disposed ? 0 : 1;
            _disposed = true;
            if (_locked)
            {
                file.Locked = false;
            }
        }
    }
}
