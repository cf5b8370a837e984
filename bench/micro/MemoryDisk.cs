using Postwright.Core.Seams;

namespace Postwright.Bench;

/// <summary>A disk in memory whose syncs cost nothing, so that what is left is the spool's own work.</summary>
internal sealed class MemoryDisk : IDisk
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Bytes> _files = [];

    public IDiskFile Open(string path, DiskOpen mode)
    {
        lock (_gate)
        {
            if (mode == DiskOpen.CreateNew)
            {
                Bytes made = new();
                return _files.TryAdd(path, made) ? new Handle(made) : throw new DiskException("open", path, DiskException.Exists);
            }

            return _files.TryGetValue(path, out Bytes? file) ? new Handle(file) : throw new DiskException("open", path, DiskException.NoSuchFile);
        }
    }

    public void Rename(string from, string to)
    {
        lock (_gate)
        {
            _files[to] = _files.Remove(from, out Bytes? file) ? file : throw new DiskException("rename", from, DiskException.NoSuchFile);
        }
    }

    public void Delete(string path)
    {
        lock (_gate)
        {
            _files.Remove(path);
        }
    }

    public void CreateDirectory(string path)
    {
    }

    public void SyncDirectory(string path)
    {
    }

    public IReadOnlyList<string> List(string directory)
    {
        lock (_gate)
        {
            return [.. _files.Keys.Where(name => Path.GetDirectoryName(name) == directory).Select(name => Path.GetFileName(name))];
        }
    }

    public long FreeBytes(string directory) => long.MaxValue;

    public Task OffloadAsync(Action work) => Task.Run(work);

    private sealed class Bytes
    {
        public byte[] Content { get; set; } = [];

        public int Length { get; set; }

        public void Extend(int length)
        {
            if (length > Content.Length)
            {
                byte[] larger = new byte[Math.Max(length, Content.Length * 2)];
                Content.AsSpan(0, Length).CopyTo(larger);
                Content = larger;
            }

            Length = Math.Max(Length, length);
        }
    }

    private sealed class Handle(Bytes file) : IDiskFile
    {
        public long Length => file.Length;

        public int Read(Span<byte> buffer, long offset)
        {
            int count = (int)Math.Clamp(file.Length - offset, 0, buffer.Length);
            file.Content.AsSpan((int)Math.Min(offset, file.Length), count).CopyTo(buffer);
            return count;
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            file.Extend((int)offset + bytes.Length);
            bytes.CopyTo(file.Content.AsSpan((int)offset));
        }

        public void Preallocate(long length) => file.Extend((int)length);

        public void Truncate(long length)
        {
            file.Content.AsSpan((int)length).Clear();
            file.Length = (int)length;
        }

        public void Sync()
        {
        }

        public ValueTask<int> WriteAndSyncAsync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset, bool onCallersThread)
        {
            for (int i = 0; i < parts.Count; i++)
            {
                Write(parts[i].Span, offset);
                offset += parts[i].Length;
            }

            return ValueTask.FromResult(0);
        }

        public bool TryLock() => true;

        public void Dispose()
        {
        }
    }
}
