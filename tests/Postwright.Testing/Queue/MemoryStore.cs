using Postwright.Server.Queue;

namespace Postwright.Testing.Queue;

/// <summary>
/// A message store without a disk: what is recorded is durable at once, unless <see cref="RefuseRecords"/> says otherwise.
/// Keeps every change in order, so that a test can say what had to come first.
/// </summary>
public sealed class MemoryStore : IMessageStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Kept> _messages = [];
    private readonly List<string> _order = [];
    private readonly List<QueueChange> _changes = [];
    private int _lastId;
    private int _loads;
    private int _lent;

    /// <summary>Makes the store say no to appends.</summary>
    public StoreStatus? AppendAnswer { get; set; }

    /// <summary>What is said to be free: a terabyte.</summary>
    public StoreRoom Free { get; set; } = new(1L << 40, 0);

    /// <summary>Makes loads fail as a broken disk would.</summary>
    public bool FailLoads { get; set; }

    /// <summary>The sync that an append waits for, whatever is cancelled meanwhile; null for none.</summary>
    public Func<Task>? Sync { get; set; }

    /// <summary>Makes records come back as not durable.</summary>
    public bool RefuseRecords { get; set; }

    /// <summary>Contents that were read and not given back.</summary>
    public int Lent => Volatile.Read(ref _lent);

    /// <summary>How often messages were read.</summary>
    public int Loads => Volatile.Read(ref _loads);

    /// <summary>Everything recorded so far; appended messages are not in it.</summary>
    public IReadOnlyList<QueueChange> Changes
    {
        get
        {
            lock (_gate)
            {
                return [.. _changes];
            }
        }
    }

    /// <summary>Messages in the queue.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _messages.Count;
            }
        }
    }

    public StoreRoom Room() => Free;

    public string NewQueueId() => $"Q{Interlocked.Increment(ref _lastId):X5}";

    public async ValueTask<StoreStatus> AppendAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken)
    {
        if (AppendAnswer is { } answer)
        {
            return answer;
        }

        if (Sync is { } sync)
        {
            await sync();
        }

        lock (_gate)
        {
            _messages.Add(envelope.QueueId, new Kept(envelope, content));
            _order.Add(envelope.QueueId);
        }

        return StoreStatus.Stored;
    }

    public Task<bool> RecordAsync(IReadOnlyList<QueueChange> changes, bool urgent = false)
    {
        lock (_gate)
        {
            foreach (QueueChange change in changes)
            {
                _changes.Add(change);
                if (_messages.TryGetValue(change.QueueId, out Kept? kept))
                {
                    Apply(kept, change);
                }
            }
        }

        return Task.FromResult(!RefuseRecords);
    }

    public ValueTask<StoredMessage?> LoadAsync(string queueId, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _loads);
        if (FailLoads)
        {
            throw new IOException("Input/output error");
        }

        lock (_gate)
        {
            return ValueTask.FromResult(_messages.TryGetValue(queueId, out Kept? kept)
                ? new StoredMessage(kept.Envelope, [.. kept.States], kept.Entry, new LentContent(this, kept.Content)) { WarningsSent = kept.WarningsSent }
                : null);
        }
    }

    public bool TryGetEntry(string queueId, out QueueEntry entry)
    {
        lock (_gate)
        {
            bool found = _messages.TryGetValue(queueId, out Kept? kept);
            entry = found ? kept!.Entry : default;
            return found;
        }
    }

    public IReadOnlyList<QueueEntry> Entries()
    {
        lock (_gate)
        {
            return [.. _order.Where(_messages.ContainsKey).Select(id => _messages[id].Entry)];
        }
    }

    public ContentWriter CreateContent() => new MemoryWriter();

    private void Apply(Kept kept, QueueChange change)
    {
        switch (change)
        {
            case RecipientsDone done:
                foreach (int index in done.Recipients)
                {
                    kept.States[index] = new RecipientState(RecipientStatus.Done);
                }

                break;
            case RecipientExpanded expanded:
                kept.States[expanded.Recipient] = new RecipientState(RecipientStatus.Done);
                kept.Envelope = kept.Envelope with { Recipients = [.. kept.Envelope.Recipients, .. expanded.Into] };
                kept.States.AddRange(expanded.Into.Select(_ => default(RecipientState)));
                break;
            case MessageDeferred deferred:
                kept.Entry = kept.Entry with { Queue = QueueName.Deferred, NextAttempt = deferred.NextAttempt };
                kept.WarningsSent = deferred.WarningsSent;
                foreach (RecipientDelay delay in deferred.Delays)
                {
                    kept.States[delay.Recipient] = new RecipientState(RecipientStatus.Pending, delay.Reason, delay.Dsn);
                }

                break;
            case MessageHeld:
                kept.Entry = kept.Entry with { Queue = QueueName.Hold };
                break;
            case MessageReleased:
                kept.Entry = kept.Entry with { Queue = QueueName.Deferred, NextAttempt = kept.Entry.Arrival };
                break;
            case MessageExpired expired:
                kept.Entry = expired.Release
                    ? kept.Entry with { ForceExpire = true, Queue = QueueName.Deferred, NextAttempt = kept.Entry.Arrival }
                    : kept.Entry with { ForceExpire = true };
                break;
            case MessageRemoved:
                _messages.Remove(change.QueueId);
                break;
            default:
                throw new InvalidOperationException($"{change}");
        }
    }

    private sealed class Kept(Envelope envelope, MessageContent content)
    {
        public Envelope Envelope { get; set; } = envelope;

        public MessageContent Content { get; } = content;

        public List<RecipientState> States { get; } = [.. envelope.Recipients.Select(_ => default(RecipientState))];

        public int WarningsSent { get; set; }

        public QueueEntry Entry { get; set; } =
            new(envelope.QueueId, envelope.Hold ? QueueName.Hold : QueueName.Incoming, envelope.Arrival, envelope.Arrival, content.Length, false);
    }

    /// <summary>Content that must not be read after it was given back.</summary>
    private sealed class LentContent : MessageContent
    {
        private readonly MemoryStore _store;
        private readonly MessageContent _content;
        private bool _back;

        public LentContent(MemoryStore store, MessageContent content)
        {
            (_store, _content) = (store, content);
            Interlocked.Increment(ref store._lent);
        }

        public override long Length => _content.Length;

        public override bool TryGetMemory(out ReadOnlyMemory<byte> bytes)
        {
            ObjectDisposedException.ThrowIf(_back, this);
            return _content.TryGetMemory(out bytes);
        }

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            ObjectDisposedException.ThrowIf(_back, this);
            return _content.ReadAsync(offset, buffer, cancellationToken);
        }

        protected override void Dispose(bool disposing)
        {
            if (!_back)
            {
                _back = true;
                Interlocked.Decrement(ref _store._lent);
            }

            base.Dispose(disposing);
        }
    }

    private sealed class MemoryWriter : ContentWriter
    {
        private readonly MemoryStream _bytes = new();

        public override long Length => _bytes.Length;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => _bytes.WriteAsync(bytes, cancellationToken);

        public override ValueTask<MessageContent> CompleteAsync() => new(new MemoryContent(_bytes.ToArray()));

        protected override void Dispose(bool disposing) => _bytes.Dispose();
    }
}
