using Microsoft.Win32.SafeHandles;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// A message's bytes as a delivery reads them: synchronously, on the delivery's own thread, possibly under a recipient's
/// identity (so nothing is opened here, only read).
/// </summary>
public abstract class AgentContent : IDisposable
{
    /// <summary>Bytes in all.</summary>
    public abstract long Length { get; }

    /// <summary>All bytes when they are in memory.</summary>
    public virtual bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
    {
        bytes = default;
        return false;
    }

    /// <summary>Reads from an offset; 0 at the end.</summary>
    /// <exception cref="IOException">The disk failed: the delivery is deferred.</exception>
    public abstract int Read(long offset, Span<byte> buffer);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives back what this object owns.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>Content that came inside a request.</summary>
internal sealed class MemoryAgentContent(ReadOnlyMemory<byte> content) : AgentContent
{
    public override long Length => content.Length;

    public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
    {
        bytes = content;
        return true;
    }

    public override int Read(long offset, Span<byte> buffer)
    {
        ReadOnlySpan<byte> rest = content.Span[(int)Math.Min(offset, content.Length)..];
        int count = Math.Min(rest.Length, buffer.Length);
        rest[..count].CopyTo(buffer);
        return count;
    }
}

/// <summary>Content in a file that was handed over as a descriptor; owns the descriptor.</summary>
internal sealed class FileAgentContent(SafeFileHandle file, long start, long length) : AgentContent
{
    public override long Length => length;

    public override int Read(long offset, Span<byte> buffer)
    {
        long rest = Math.Max(0, length - offset);
        return RandomAccess.Read(file, buffer[..(int)Math.Min(rest, buffer.Length)], start + offset);
    }

    protected override void Dispose(bool disposing)
    {
        file.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>The queue's content, when agent and queue are one process. Waits on this delivery's own thread.</summary>
internal sealed class QueueAgentContent(MessageContent content) : AgentContent
{
    public override long Length => content.Length;

    public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes) => content.TryGetMemory(out bytes);

    public override int Read(long offset, Span<byte> buffer)
    {
        if (content.TryGetMemory(out ReadOnlyMemory<byte> bytes))
        {
            return new MemoryAgentContent(bytes).Read(offset, buffer);
        }

        var copy = new byte[buffer.Length];
        ValueTask<int> read = content.ReadAsync(offset, copy, CancellationToken.None);
        int count = read.IsCompletedSuccessfully ? read.Result : read.AsTask().GetAwaiter().GetResult();
        copy.AsSpan(0, count).CopyTo(buffer);
        return count;
    }
}
