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
/// contents together reach inline_memory_limit, in a file.
/// </summary>
internal sealed class SpoolContentWriter(SpoolOptions options, ContentFiles files, InlineMemory memory) : ContentWriter
{
    private const int FirstBuffer = 4 << 10;
    private const int FileBuffer = 64 << 10;

    private byte[] _buffer = [];
    private int _used;
    private int _counted;
    private IDiskFile? _file;
    private ulong _number;
    private long _written;
    private uint _register = ~0u;
    private bool _over;

    /// <inheritdoc />
    public override long Length => _written + _used;

    /// <inheritdoc />
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_over, this);
        ReadOnlySpan<byte> rest = bytes.Span;
        if (_file is null && !TryMakeRoom(rest.Length))
        {
            Spill();
        }

        while (true)
        {
            int count = Math.Min(rest.Length, _buffer.Length - _used);
            rest[..count].CopyTo(_buffer.AsSpan(_used));
            _used += count;
            rest = rest[count..];
            if (rest.IsEmpty)
            {
                return ValueTask.CompletedTask;
            }

            FlushBuffer();
        }
    }

    /// <inheritdoc />
    public override MessageContent Complete()
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

        FlushBuffer();
        _over = true;
        ReturnBuffer();
        IDiskFile file = _file;
        _file = null;
        return new FileContent(files, file, _number, _written, ~_register, adopted: false);
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _over = true;
        ReturnBuffer();
        if (_file is { } file)
        {
            _file = null;
            file.Dispose();
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
        ReturnBuffer();
        _buffer = larger;
        _counted = larger.Length;
        return true;
    }

    private void Spill()
    {
        _file = files.Create(out _number);
        if (_used > 0)
        {
            FlushBuffer();
        }

        // One buffer a large content: it is not counted, since sessions are.
        ReturnBuffer();
        _buffer = ArrayPool<byte>.Shared.Rent(FileBuffer);
    }

    private void FlushBuffer()
    {
        _file!.Write(_buffer.AsSpan(0, _used), _written);
        _register = Crc32C.Append(_register, _buffer.AsSpan(0, _used));
        _written += _used;
        _used = 0;
    }

    private void ReturnBuffer()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }

        memory.Release(_counted);
        _counted = 0;
    }
}
