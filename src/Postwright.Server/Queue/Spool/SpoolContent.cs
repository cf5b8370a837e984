using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Content in a pooled buffer that it shares with the cache and with other loads of the same message.</summary>
internal sealed class BufferedContent(SharedBuffer buffer, InlineMemory? arriving) : MessageContent
{
    private SharedBuffer? _buffer = buffer;
    private InlineMemory? _arriving = arriving;

    /// <inheritdoc />
    public override long Length { get; } = buffer.Length;

    /// <summary>The buffer; the content keeps its own use of it.</summary>
    public SharedBuffer Buffer => _buffer ?? throw new ObjectDisposedException(nameof(BufferedContent));

    /// <inheritdoc />
    public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
    {
        bytes = Buffer.Memory;
        return true;
    }

    /// <inheritdoc />
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ReadOnlySpan<byte> all = Buffer.Memory.Span;
        ReadOnlySpan<byte> rest = all[(int)Math.Min(offset, all.Length)..];
        int count = Math.Min(rest.Length, buffer.Length);
        rest[..count].CopyTo(buffer.Span);
        return ValueTask.FromResult(count);
    }

    /// <summary>The content has arrived: it counts no longer against inline_memory_limit.</summary>
    private void Arrived()
    {
        if (Interlocked.Exchange(ref _arriving, null) is { } memory)
        {
            memory.Release(Buffer.Capacity);
        }
    }

    /// <summary>Gives the buffer, and the use of it, to the caller.</summary>
    public SharedBuffer Detach()
    {
        Arrived();
        return Interlocked.Exchange(ref _buffer, null) ?? throw new ObjectDisposedException(nameof(BufferedContent));
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (_buffer is not null)
        {
            Arrived();
        }

        Interlocked.Exchange(ref _buffer, null)?.Release();
        base.Dispose(disposing);
    }
}

/// <summary>Content in a file of its own. Until it is adopted by a message, disposing it deletes the file.</summary>
internal sealed class FileContent(ContentFiles files, IDiskFile file, ulong number, long length, uint checksum, bool adopted) : MessageContent
{
    private IDiskFile? _file = file;
    private bool _adopted = adopted;

    /// <inheritdoc />
    public override long Length { get; } = length;

    public ulong Number { get; } = number;

    public uint Checksum { get; } = checksum;

    /// <summary>True until a message owns the file.</summary>
    public bool IsNew => !_adopted;

    public IDiskFile File => _file ?? throw new ObjectDisposedException(nameof(FileContent));

    /// <summary>A message owns the file from now on.</summary>
    public void Adopt() => _adopted = true;

    /// <inheritdoc />
    public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        return false;
    }

    /// <inheritdoc />
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        ValueTask.FromResult(offset >= Length ? 0 : File.Read(buffer.Span[..(int)Math.Min(buffer.Length, Length - offset)], offset));

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _file, null) is { } file)
        {
            files.Release(Number, file);
            if (!_adopted)
            {
                files.Delete(Number, log: null);
            }
        }

        base.Dispose(disposing);
    }
}
