using Postwright.Server.Queue;

namespace Postwright.Server.Tests.Deliver.Local;

/// <summary>Content that can only be read in pieces, of odd sizes, and may end before its length.</summary>
internal sealed class FileLikeContent(byte[] bytes, int missing = 0) : MessageContent
{
    public override long Length => bytes.Length;

    public override bool TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = default;
        return false;
    }

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await Task.Yield();
        int count = Math.Min(Math.Min(buffer.Length, 4093), (int)Math.Max(0, bytes.Length - missing - offset));
        bytes.AsMemory((int)Math.Min(offset, bytes.Length), count).CopyTo(buffer);
        return count;
    }
}
