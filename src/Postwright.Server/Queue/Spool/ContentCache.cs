using System.Buffers;

namespace Postwright.Server.Queue.Spool;

/// <summary>A pooled buffer with its content, given back when the last of its users is done with it.</summary>
internal sealed class SharedBuffer(byte[] array, int start, int length)
{
    private byte[]? _array = array;
    private int _users = 1;

    public int Length { get; } = length;

    public int Capacity { get; } = array.Length;

    public ReadOnlyMemory<byte> Memory => (_array ?? throw new ObjectDisposedException(nameof(SharedBuffer))).AsMemory(start, Length);

    public void Share() => Interlocked.Increment(ref _users);

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0 && Interlocked.Exchange(ref _array, null) is { } array)
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }
}

/// <summary>A message in memory: its envelope, expansions included, and its content unless that is in a file.</summary>
internal sealed class CachedMessage(IndexEntry entry, Envelope envelope, SharedBuffer? content)
{
    /// <summary>What an envelope is taken to weigh, beside what a recipient does.</summary>
    private const int EnvelopeBytes = 1000;

    public IndexEntry Entry { get; } = entry;

    public Envelope Envelope { get; set; } = envelope;

    public SharedBuffer? Content { get; } = content;

    public long Weight { get; } = (content?.Capacity ?? 0) + EnvelopeBytes + (300L * envelope.Recipients.Count);

    public CachedMessage? Older { get; set; }

    public CachedMessage? Newer { get; set; }
}

/// <summary>
/// Contents kept in memory after their append, up to a limit; the oldest go first. Guarded by the spool's gate.
/// </summary>
internal sealed class ContentCache(long limit)
{
    private CachedMessage? _oldest;
    private CachedMessage? _newest;

    /// <summary>False when nothing is cached.</summary>
    public bool IsOn => limit > 0;

    /// <summary>What is held, in bytes.</summary>
    public long Weight { get; private set; }

    /// <summary>Takes a message over, and its user of the content with it.</summary>
    public void Add(CachedMessage message)
    {
        message.Entry.MakeExtra().Cached = message;
        message.Older = _newest;
        if (_newest is not null)
        {
            _newest.Newer = message;
        }

        _newest = message;
        _oldest ??= message;
        Weight += message.Weight;
        while (Weight > limit && _oldest is not null)
        {
            Remove(_oldest);
        }
    }

    /// <summary>Lets a message go.</summary>
    public void Remove(CachedMessage message)
    {
        if (message.Older is null)
        {
            _oldest = message.Newer;
        }
        else
        {
            message.Older.Newer = message.Newer;
        }

        if (message.Newer is null)
        {
            _newest = message.Older;
        }
        else
        {
            message.Newer.Older = message.Older;
        }

        message.Older = message.Newer = null;
        Weight -= message.Weight;
        message.Content?.Release();
        EntryExtra extra = message.Entry.Extra!;
        extra.Cached = null;
        if (message.Entry.PendingRecords == 0)
        {
            extra.Delays = null;
            message.Entry.DropEmptyExtra();
        }
    }
}
