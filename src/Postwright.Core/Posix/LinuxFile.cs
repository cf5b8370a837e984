using System.Buffers;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Seams;

namespace Postwright.Core.Posix;

/// <summary>
/// An open file of the real disk. A batch that the caller does not write itself is written by the one commit thread, and
/// what awaits it continues on that thread, so that the next batch costs no change of thread.
/// </summary>
internal sealed class LinuxFile : IDiskFile, IValueTaskSource<int>
{
    private const int ZeroChunk = 1 << 20;
    private static readonly DiskThreads Committers = new("disk commit", 1);

    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private readonly Action _run;
    private ManualResetValueTaskSourceCore<int> _done;
    private IReadOnlyList<ReadOnlyMemory<byte>> _parts = [];
    private long _offset;

    public LinuxFile(SafeFileHandle handle, string path)
    {
        _handle = handle;
        _path = path;
        _run = Run;
    }

    /// <inheritdoc />
    public long Length
    {
        get
        {
            long length = DiskCalls.Seek(_handle, 0, 2);
            return length >= 0 ? length : throw new DiskException("lseek", _path, Marshal.GetLastPInvokeError());
        }
    }

    /// <inheritdoc />
    public unsafe int Read(Span<byte> buffer, long offset)
    {
        int total = 0;
        fixed (byte* start = buffer)
        {
            while (total < buffer.Length)
            {
                nint count = DiskCalls.Read(_handle, start + total, (nuint)(buffer.Length - total), offset + total);
                if (count == 0)
                {
                    break;
                }

                if (count > 0)
                {
                    total += (int)count;
                }
                else if (Marshal.GetLastPInvokeError() is var errno and not DiskCalls.Interrupted)
                {
                    throw new DiskException("read", _path, errno);
                }
            }
        }

        return total;
    }

    /// <inheritdoc />
    public unsafe void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        fixed (byte* start = bytes)
        {
            int total = 0;
            while (total < bytes.Length)
            {
                nint count = DiskCalls.Write(_handle, start + total, (nuint)(bytes.Length - total), offset + total);
                if (count > 0)
                {
                    total += (int)count;
                }
                else if (count == 0 || Marshal.GetLastPInvokeError() != DiskCalls.Interrupted)
                {
                    throw new DiskException("write", _path, count == 0 ? DiskException.NoSpace : Marshal.GetLastPInvokeError());
                }
            }
        }
    }

    /// <inheritdoc />
    public void Preallocate(long length)
    {
        long offset = Length;
        if (offset >= length)
        {
            return;
        }

        // Space first, so that a full disk is known before anything is written; a file system without fallocate writes only.
        if (DiskCalls.Allocate(_handle, 0, offset, length - offset) != 0
            && Marshal.GetLastPInvokeError() is var errno and not (DiskCalls.NotSupported or DiskCalls.Interrupted))
        {
            throw new DiskException("fallocate", _path, errno);
        }

        byte[] zeros = ArrayPool<byte>.Shared.Rent(ZeroChunk);
        Array.Clear(zeros);
        for (; offset < length; offset += Math.Min(ZeroChunk, length - offset))
        {
            Write(zeros.AsSpan(0, (int)Math.Min(ZeroChunk, length - offset)), offset);
        }

        ArrayPool<byte>.Shared.Return(zeros);
    }

    /// <inheritdoc />
    public void Truncate(long length)
    {
        while (DiskCalls.Truncate(_handle, length) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var errno and not DiskCalls.Interrupted)
            {
                throw new DiskException("ftruncate", _path, errno);
            }
        }
    }

    /// <inheritdoc />
    public void Sync()
    {
        int errno = SyncData();
        if (errno != 0)
        {
            throw new DiskException("fdatasync", _path, errno);
        }
    }

    /// <inheritdoc />
    public ValueTask<int> WriteAndSyncAsync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset, bool onCallersThread)
    {
        if (onCallersThread || DiskThreads.Current == Committers)
        {
            return ValueTask.FromResult(WriteAndSync(parts, offset));
        }

        _parts = parts;
        _offset = offset;
        _done.Reset();
        short version = _done.Version;
        Committers.Queue(_run);
        return new ValueTask<int>(this, version);
    }

    /// <inheritdoc />
    public unsafe bool TryLock()
    {
        var wanted = new DiskCalls.FileLock { Type = 1 };
        while (DiskCalls.Control(_handle, DiskCalls.SetOpenFileLock, &wanted) != 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case DiskCalls.Interrupted:
                    continue;
                case DiskCalls.Again or DiskCalls.AccessDenied:
                    return false;
                case var errno:
                    throw new DiskException("fcntl", _path, errno);
            }
        }

        return true;
    }

    /// <inheritdoc />
    public void Dispose() => _handle.Dispose();

    int IValueTaskSource<int>.GetResult(short token) => _done.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _done.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _done.OnCompleted(continuation, state, token, flags);

    private void Run()
    {
        int errno = WriteAndSync(_parts, _offset);
        _parts = [];
        _done.SetResult(errno);
    }

    private int WriteAndSync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset)
    {
        int errno = WriteParts(parts, offset);
        return errno != 0 ? errno : SyncData();
    }

    private unsafe int WriteParts(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset)
    {
        var pins = new MemoryHandle[Math.Min(parts.Count, DiskCalls.MostVectors)];
        DiskCalls.IoVector* vectors = stackalloc DiskCalls.IoVector[pins.Length];
        for (int first = 0; first < parts.Count; first += pins.Length)
        {
            int count = Math.Min(pins.Length, parts.Count - first);
            for (int i = 0; i < count; i++)
            {
                pins[i] = parts[first + i].Pin();
                vectors[i] = new DiskCalls.IoVector { Start = (byte*)pins[i].Pointer, Length = (nuint)parts[first + i].Length };
            }

            int errno = WriteVectors(vectors, count, ref offset);
            foreach (ref MemoryHandle pin in pins.AsSpan(0, count))
            {
                pin.Dispose();
            }

            if (errno != 0)
            {
                return errno;
            }
        }

        return 0;
    }

    private unsafe int WriteVectors(DiskCalls.IoVector* vectors, int count, ref long offset)
    {
        while (count > 0)
        {
            nint written = DiskCalls.WriteVector(_handle, vectors, count, offset);
            if (written < 0)
            {
                if (Marshal.GetLastPInvokeError() is var errno and not DiskCalls.Interrupted)
                {
                    return errno;
                }

                continue;
            }

            offset += written;
            var rest = (nuint)written;
            while (count > 0 && rest >= vectors->Length)
            {
                rest -= vectors->Length;
                vectors++;
                count--;
            }

            if (count > 0)
            {
                if (written == 0)
                {
                    return DiskException.NoSpace;
                }

                vectors->Start += rest;
                vectors->Length -= rest;
            }
        }

        return 0;
    }

    private int SyncData()
    {
        while (DiskCalls.SyncData(_handle) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != DiskCalls.Interrupted)
            {
                return errno;
            }
        }

        return 0;
    }
}
