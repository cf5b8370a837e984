using System.Buffers;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Counts the memory of arriving contents over all sessions.</summary>
internal sealed class InlineMemory(long limit)
{
    private long _used;

    /// <summary>Bytes in use.</summary>
    public long Used => Volatile.Read(ref _used);

    /// <summary>Takes bytes, unless that would exceed the limit.</summary>
    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _used, bytes) <= limit)
        {
            return true;
        }

        Interlocked.Add(ref _used, -bytes);
        return false;
    }

    public void Release(long bytes) => Interlocked.Add(ref _used, -bytes);
}

/// <summary>
/// Takes a content as it arrives: in one pooled buffer that grows, and from spool_inline_limit on, or when all arriving
/// contents together reach inline_memory_limit, in a file. The file is written by the disk's threads, a buffer at a time,
/// while the next one fills: a session's thread never waits for the disk.
/// </summary>
internal sealed class SpoolContentWriter(SpoolOptions options, ContentFiles files, InlineMemory memory) : ContentWriter
{
    private const int FirstBuffer = 4 << 10;

    /// <summary>A quarter of what the measured disk takes in the time of a change of thread; larger ones gained nothing.</summary>
    private const int FileBuffer = 128 << 10;

    /// <summary>What a file gets when memory is short: sessions are counted, so these need not be.</summary>
    private const int SmallFileBuffer = 16 << 10;

    private byte[] _buffer = [];
    private byte[] _other = [];
    private int _used;
    private int _counted;
    private IDiskFile? _file;
    private ulong _number;
    private long _handedOver;
    private uint _register = ~0u;
    private Task _writing = Task.CompletedTask;
    private bool _over;

    /// <inheritdoc />
    public override long Length => _handedOver + _used;

    /// <inheritdoc />
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_over, this);
        bool fits = _file is null ? TryMakeRoom(bytes.Length) : bytes.Length <= _buffer.Length - _used;
        if (!fits)
        {
            return WriteToFileAsync(bytes);
        }

        bytes.Span.CopyTo(_buffer.AsSpan(_used));
        _used += bytes.Length;
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc />
    public override async ValueTask<MessageContent> CompleteAsync()
    {
        ObjectDisposedException.ThrowIf(_over, this);
        if (_file is null)
        {
            _over = true;
            if (_buffer.Length == 0)
            {
                _buffer = ArrayPool<byte>.Shared.Rent(1);
            }

            var content = new BufferedContent(new SharedBuffer(_buffer, 0, _used), _counted > 0 ? memory : null);
            (_buffer, _counted) = ([], 0);
            return content;
        }

        await HandOverAsync();
        await _writing;
        _over = true;
        ReturnBuffers();
        IDiskFile file = _file;
        _file = null;
        return new FileContent(files, file, _number, _handedOver, ~_register, adopted: false);
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _over = true;
        if (_writing.IsCompleted)
        {
            CleanUp();
        }
        else
        {
            _ = CleanUpLaterAsync();
        }
    }

    private async Task CleanUpLaterAsync()
    {
        try
        {
            await _writing;
        }
        catch (IOException)
        {
            // The content is thrown away, written or not.
        }

        CleanUp();
    }

    private void CleanUp()
    {
        ReturnBuffers();
        if (_file is { } file)
        {
            _file = null;
            files.Release(_number, file);
            files.Delete(_number, log: null);
        }
    }

    private bool TryMakeRoom(int more)
    {
        long wanted = (long)_used + more;
        if (wanted > options.InlineLimit)
        {
            return false;
        }

        if (wanted <= _buffer.Length)
        {
            return true;
        }

        int size = Math.Max(FirstBuffer, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)wanted));
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        if (!memory.TryTake(larger.Length))
        {
            ArrayPool<byte>.Shared.Return(larger);
            return false;
        }

        _buffer.AsSpan(0, _used).CopyTo(larger);
        ReturnBuffers();
        _buffer = larger;
        _counted = larger.Length;
        return true;
    }

    private async ValueTask WriteToFileAsync(ReadOnlyMemory<byte> bytes)
    {
        if (_file is null)
        {
            (_file, _number) = await files.CreateAsync();
        }

        while (true)
        {
            int count = Math.Min(bytes.Length, _buffer.Length - _used);
            bytes[..count].CopyTo(_buffer.AsMemory(_used));
            _used += count;
            bytes = bytes[count..];
            if (bytes.IsEmpty)
            {
                return;
            }

            await HandOverAsync();
        }
    }

    /// <summary>Gives what the buffer holds to the disk's threads, once they are done with the last one.</summary>
    /// <exception cref="DiskException">The last one failed.</exception>
    private async ValueTask HandOverAsync()
    {
        await _writing;
        byte[] full = _buffer;
        int count = _used;
        long offset = _handedOver;
        IDiskFile file = _file!;
        if (count > 0)
        {
            _writing = files.OffloadAsync(() =>
            {
                file.Write(full.AsSpan(0, count), offset);
                _register = Crc32C.Append(_register, full.AsSpan(0, count));
            });
        }

        (_buffer, _other) = (_other, full);
        _handedOver += count;
        _used = 0;
        if (_buffer.Length >= SmallFileBuffer)
        {
            return;
        }

        // The first buffer, of any size, is on its way; two for files are wanted now, one of them when it comes back.
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        _buffer = RentForFile();
    }

    private byte[] RentForFile()
    {
        bool large = memory.TryTake(FileBuffer);
        _counted += large ? FileBuffer : 0;
        return ArrayPool<byte>.Shared.Rent(large ? FileBuffer : SmallFileBuffer);
    }

    private void ReturnBuffers()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        if (_other.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_other);
        }

        (_buffer, _other) = ([], []);
        memory.Release(_counted);
        _counted = 0;
    }
}
