using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Postwright.Server.Queue.Spool;

/// <summary>What a record is to the writer.</summary>
internal enum PendingKind : byte
{
    /// <summary>A new message; somebody waits.</summary>
    Append,

    /// <summary>A message that compaction moves.</summary>
    Copy,

    /// <summary>Changes of one message.</summary>
    Changes,

    /// <summary>The whole state of a message, which compaction writes anew.</summary>
    Status,
    Remove,
    Abort,

    /// <summary>A removal whose own segment compaction empties.</summary>
    OldRemove,
}

/// <summary>
/// A record on its way to the log: encoded, with its checksum, but without a place. Knows how to complete the append that
/// waits for it; pooled with it, so that an append allocates nothing that outlives it but its index row.
/// </summary>
internal sealed class PendingRecord : IValueTaskSource<StoreStatus>
{
    private ManualResetValueTaskSourceCore<StoreStatus> _waiter;
    private byte[]? _head;
    private int _headLength;

    public PendingKind Kind { get; private set; }

    public string QueueId { get; private set; } = "";

    /// <summary>The row; for Abort and OldRemove there is none.</summary>
    public IndexEntry? Entry { get; set; }

    /// <summary>Queue ID and items, without inline content.</summary>
    public ReadOnlySpan<byte> Head => _head.AsSpan(0, _headLength);

    /// <summary>Inline content, which ends the record.</summary>
    public ReadOnlyMemory<byte> Content { get; private set; }

    /// <summary>The unsalted checksum of head and content.</summary>
    public uint Checksum { get; private set; }

    /// <summary>Bytes with header, without padding.</summary>
    public int Length => SegmentFormat.RecordHeaderSize + _headLength + Content.Length;

    /// <summary>For an append: the envelope, to be cached.</summary>
    public Envelope? Envelope { get; set; }

    /// <summary>For an append: the content, which the store takes over once it is stored.</summary>
    public MessageContent? Owner { get; set; }

    /// <summary>The record holds delays: the row must point to it.</summary>
    public bool HasDelays { get; set; }

    /// <summary>Expansions whose recipients stand in this record.</summary>
    public List<Expansion>? Expansions { get; set; }

    /// <summary>For a copy or status: how many of the row's expansions it replaces.</summary>
    public int ReplacedExpansions { get; set; }

    /// <summary>The first segment in which a try to write it was made, 0 if none was.</summary>
    public uint FirstTried { get; set; }

    /// <summary>For Abort and OldRemove: the first segment of the span.</summary>
    public uint SpanFirst { get; set; }

    /// <summary>Where it was laid out in the batch now being written.</summary>
    public int BatchOffset { get; set; }

    public StoreStatus Outcome { get; set; }

    /// <summary>Told when a copy, status or old removal is durable or has failed.</summary>
    public TaskCompletionSource<bool>? Done { get; set; }

    public RecordType Type => Kind switch
    {
        PendingKind.Append or PendingKind.Copy => RecordType.Message,
        PendingKind.Changes or PendingKind.Status => RecordType.Changes,
        PendingKind.Abort => RecordType.Abort,
        _ => RecordType.Remove,
    };

    /// <summary>Mail may be refused for want of space; everything else uses the reserve.</summary>
    public bool IsMail => Kind == PendingKind.Append;

    /// <summary>Fills the record in; the writer's buffer is taken over.</summary>
    public void Set(PendingKind kind, string queueId, RecordWriter body, ReadOnlyMemory<byte> content)
    {
        Kind = kind;
        QueueId = queueId;
        Content = content;
        uint register = Crc32C.Append(~0u, body.Written);
        Checksum = ~Crc32C.Append(register, content.Span);
        _head = body.Detach(out _headLength);
    }

    /// <summary>Begins a body: the queue ID stands in front of the items.</summary>
    [SkipLocalsInit]
    public static void WriteId(RecordWriter writer, string queueId)
    {
        Span<byte> id = stackalloc byte[SegmentFormat.MostIdLength];
        int length = System.Text.Encoding.ASCII.GetBytes(queueId, id);
        writer.Bytes(id[..length]);
    }

    /// <summary>The task of the append.</summary>
    /// <param name="continuations">Where its waiter goes on: not on the writer's thread, but for a simulation that has one thread.</param>
    public ValueTask<StoreStatus> Wait(TaskCreationOptions continuations)
    {
        _waiter.RunContinuationsAsynchronously = continuations.HasFlag(TaskCreationOptions.RunContinuationsAsynchronously);
        return new ValueTask<StoreStatus>(this, _waiter.Version);
    }

    /// <summary>Completes the append.</summary>
    public void Complete() => _waiter.SetResult(Outcome);

    /// <summary>Gives the buffer back and forgets everything, so that the object can be used again.</summary>
    public void Reset()
    {
        if (_head is not null)
        {
            ArrayPool<byte>.Shared.Return(_head);
            _head = null;
        }

        _headLength = 0;
        Content = default;
        Entry = null;
        Envelope = null;
        Owner = null;
        HasDelays = false;
        Expansions = null;
        ReplacedExpansions = 0;
        FirstTried = 0;
        SpanFirst = 0;
        Outcome = StoreStatus.Stored;
        Done = null;
        QueueId = "";
    }

    ValueTaskSourceStatus IValueTaskSource<StoreStatus>.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource<StoreStatus>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _waiter.OnCompleted(continuation, state, token, flags);

    StoreStatus IValueTaskSource<StoreStatus>.GetResult(short token)
    {
        StoreStatus status = _waiter.GetResult(token);
        _waiter.Reset();
        Pool.Return(this);
        return status;
    }

    /// <summary>Records for reuse; at most as many as one large batch holds.</summary>
    internal static class Pool
    {
        private const int Most = 1024;
        private static readonly System.Collections.Concurrent.ConcurrentQueue<PendingRecord> Free = new();
        private static int _count;

        public static PendingRecord Take()
        {
            if (Free.TryDequeue(out PendingRecord? record))
            {
                Interlocked.Decrement(ref _count);
                return record;
            }

            return new PendingRecord();
        }

        public static void Return(PendingRecord record)
        {
            record.Reset();
            if (Interlocked.Increment(ref _count) <= Most)
            {
                Free.Enqueue(record);
            }
            else
            {
                Interlocked.Decrement(ref _count);
            }
        }
    }
}
