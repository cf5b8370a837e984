using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // Runs on delivery threads, which may block.

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

/// <summary>Content in a file that was handed over as a descriptor, or that the queue keeps open.</summary>
internal sealed class FileAgentContent(SafeFileHandle file, long start, long length, bool ownsFile = true) : AgentContent
{
    public override long Length => length;

    public override int Read(long offset, Span<byte> buffer)
    {
        long rest = Math.Max(0, length - offset);
        return RandomAccess.Read(file, buffer[..(int)Math.Min(rest, buffer.Length)], start + offset);
    }

    protected override void Dispose(bool disposing)
    {
        if (ownsFile)
        {
            file.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>
/// Makes the queue's content readable without waiting for other threads. That matters beyond speed: a thread that the runtime
/// starts inherits the identity of the thread that caused it, so nothing asynchronous may begin under a recipient's.
/// </summary>
internal static class QueueContent
{
    private const int ChunkSize = 64 * 1024;

    /// <summary>The content for a delivery in this process; on a delivery thread, before any identity is taken on.</summary>
    /// <exception cref="IOException">The content could not be read.</exception>
    public static AgentContent Open(MessageContent content)
    {
        if (content.TryGetMemory(out ReadOnlyMemory<byte> bytes))
        {
            return new MemoryAgentContent(bytes);
        }

        return content.TryGetFile(out SafeFileHandle? file, out long offset)
            ? new FileAgentContent(file, offset, content.Length, ownsFile: false)
            : new FileAgentContent(Copy(content), 0, content.Length);
    }

    /// <summary>A copy in memory behind a descriptor, for content that is no file; the caller's to close.</summary>
    /// <exception cref="IOException">The content could not be read.</exception>
    public static SafeFileHandle Copy(MessageContent content)
    {
        SafeFileHandle copy = MemoryFile.Create("message");
        try
        {
            var buffer = new byte[ChunkSize];
            long at = 0;
            for (int count = Read(content, 0, buffer); count > 0; count = Read(content, at, buffer))
            {
                RandomAccess.Write(copy, buffer.AsSpan(0, count), at);
                at += count;
            }

            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    private static int Read(MessageContent content, long offset, byte[] buffer)
    {
        ValueTask<int> read = content.ReadAsync(offset, buffer, CancellationToken.None);
        return read.IsCompletedSuccessfully ? read.Result : read.AsTask().GetAwaiter().GetResult();
    }
}
