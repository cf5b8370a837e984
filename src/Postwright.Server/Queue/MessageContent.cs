namespace Postwright.Server.Queue;

/// <summary>
/// A message's bytes: headers, empty line, body, lines ended by CRLF, without dot-stuffing and final dot. Kept as they came,
/// with our Received: and completed headers in front. Small content is in memory, larger content in a file of the spool.
/// Reference-counted by its owner, the store: whoever loads a message disposes it when done.
/// </summary>
public abstract class MessageContent : IDisposable
{
    /// <summary>Bytes in all.</summary>
    public abstract long Length { get; }

    /// <summary>The bytes at once when they are in memory (or can be without I/O), else false.</summary>
    public abstract bool TryGetMemory(out ReadOnlyMemory<byte> bytes);

    /// <summary>
    /// The open file that holds exactly these bytes from <paramref name="offset"/> on, so that another process can be given it;
    /// false when there is none. The handle stays the content's own: readable, never closed or moved by the caller.
    /// </summary>
    public virtual bool TryGetFile([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Microsoft.Win32.SafeHandles.SafeFileHandle? file, out long offset)
    {
        file = null;
        offset = 0;
        return false;
    }

    /// <summary>Reads from <paramref name="offset"/> into <paramref name="buffer"/>; 0 at the end.</summary>
    /// <exception cref="IOException">The disk failed: a temporary error of the delivery.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives memory or descriptor back.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>Content in memory that needs no giving back: tests, notices.</summary>
public sealed class MemoryContent(ReadOnlyMemory<byte> content) : MessageContent
{
    /// <inheritdoc />
    public override long Length => content.Length;

    /// <inheritdoc />
    public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
    {
        bytes = content;
        return true;
    }

    /// <inheritdoc />
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (offset >= content.Length)
        {
            return ValueTask.FromResult(0);
        }

        ReadOnlySpan<byte> rest = content.Span[(int)offset..];
        int count = Math.Min(rest.Length, buffer.Length);
        rest[..count].CopyTo(buffer.Span);
        return ValueTask.FromResult(count);
    }
}
