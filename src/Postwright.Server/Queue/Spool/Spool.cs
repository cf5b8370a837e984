using System.Threading.Channels;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The queue on disk: an append-only log in segments, one fdatasync for all messages that wait at a moment, an index in
/// memory. <see cref="AppendAsync"/> completes with Stored when the message survives a power cut, and not before; this is
/// where a 250 is earned. All methods may be called from any thread.
/// <para>One process writes: opening takes a lock on the spool and refuses while another holds it.</para>
/// </summary>
public sealed class Spool : IMessageStore, IAsyncDisposable
{
    /// <summary>With less room than for so many segments, those that hold nothing are not left lying about.</summary>
    private const int LowSegments = 16;

    [ThreadStatic]
    private static RecordWriter? _threadWriter;

    private readonly SpoolOptions _options;
    private readonly IDisk _disk;
    private readonly TimeProvider _time;
    private readonly MailLog _log;
    private readonly Lock _gate = new();
    private readonly SpoolIndex _index = new();
    private readonly ContentCache _cache;
    private readonly ContentFiles _files;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    private readonly InlineMemory _memory;
    private readonly SegmentPool _pool;
    private readonly FreeSpace _freeSpace;
    private readonly SpoolWriter _writer;
    private readonly ChangeEncoder _encoder;
    private readonly StoredMessages _messages;
    private readonly QueueIds _ids;
    private readonly HashSet<string> _arrivingMaildrop = [];
    private readonly SnapshotTaker _snapshots;
    private readonly SpoolCompactor _compactor;
    private readonly Channel<bool> _compactionDue = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stopping = new();
    private Task _compacting = Task.CompletedTask;
    private IDiskFile? _lock;

    private Spool(SpoolOptions options, IDisk disk, IChance chance, TimeProvider time, MailLog log)
    {
        (_options, _disk, _time, _log) = (options, disk, time, log);
        _cache = new ContentCache(options.CacheLimit);
        _files = new ContentFiles(options, disk, chance);
        _memory = new InlineMemory(options.InlineMemoryLimit);
        _pool = new SegmentPool(options, disk, chance);
        _freeSpace = new FreeSpace(options, disk, time, log);
        _writer = new SpoolWriter(options, disk, time, log, _gate, _pool, new LogPublisher(_index, _cache, _files, disk, _gate, log), _freeSpace);
        _encoder = new ChangeEncoder(_index, _cache, SegmentFormat.MostRecord(options.SegmentBytes));
        _messages = new StoredMessages(_index, _files, _gate, disk, options.CorruptDirectory, log);
        _ids = new QueueIds(options.LongQueueIds, time, chance);
        _snapshots = new SnapshotTaker(options, disk, _index, _gate, _writer, log);
        var copier = new SegmentCopier(options, disk, time, _index, _gate, _writer, _messages);
        _compactor = new SpoolCompactor(options, disk, time, _index, _gate, _writer, _pool, copier, _snapshots, log);
        _writer.Segment.SpaceWanted = () => _compactionDue.Writer.TryWrite(true);
    }

    /// <summary>What was found damaged when the spool was opened; each was logged as a warning.</summary>
    public IReadOnlyList<SpoolDamage> Damages { get; private set; } = [];

    /// <summary>Opens the spool and recovers what is in it.</summary>
    /// <exception cref="SpoolInUseException">Another process writes to it.</exception>
    /// <exception cref="DiskException">The disk failed, so that it is not known what is queued.</exception>
    public static async Task<Spool> OpenAsync(SpoolOptions options, IDisk disk, IChance chance, TimeProvider time, MailLog log)
    {
        var spool = new Spool(options, disk, chance, time, log);
        try
        {
            await disk.OffloadAsync(spool.Recover);
        }
        catch
        {
            spool.CloseFiles();
            throw;
        }

        if (options.CompactInBackground)
        {
            spool._compacting = spool.CompactWhenDueAsync();
        }

        return spool;
    }

    /// <inheritdoc />
    public string NewQueueId()
    {
        while (true)
        {
            string id = _ids.Next();
            lock (_gate)
            {
                if (!_index.Entries.ContainsKey(id))
                {
                    return id;
                }
            }
        }
    }

    /// <inheritdoc />
    public StoreRoom Room()
    {
        long bytes = _freeSpace.Bytes();
        _files.IsSpaceShort = bytes < LowSegments * _options.SegmentBytes;
        if (_files.IsSpaceShort)
        {
            // Whoever asks may refuse mail for it, and mail that never gets here would fill no segment, which is when space is won back.
            _compactionDue.Writer.TryWrite(true);
            if (_files.HasFree)
            {
                _ = _disk.OffloadAsync(() => _files.DeleteFree(_log));
            }
        }

        return new StoreRoom(bytes, _pool.Count * (long)_options.SegmentBytes);
    }

    /// <summary>True when a pass of winning space back was asked for and has not begun, for tests.</summary>
    internal bool IsCompactionDue => _compactionDue.Reader.Count > 0;

    /// <inheritdoc />
    public ContentWriter CreateContent() => new SpoolContentWriter(_options, _files, _memory);

    /// <inheritdoc />
    public ValueTask<StoreStatus> AppendAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!QueueIds.IsValid(envelope.QueueId))
        {
            throw new ArgumentException($"not a queue ID: {envelope.QueueId}", nameof(envelope));
        }

        return envelope.MaildropKey.Length > 0
            ? AppendMaildropAsync(envelope, content, cancellationToken)
            : AppendAnyAsync(envelope, content, cancellationToken);
    }

    /// <inheritdoc />
    public Task<bool> RecordAsync(IReadOnlyList<QueueChange> changes, bool urgent = false)
    {
        bool start = false;
        Task<bool>? task = null;
        lock (_gate)
        {
            RecordWriter writer = ThreadWriter();
            foreach (IReadOnlyList<QueueChange> group in GroupByMessage(changes))
            {
                if (!_index.Entries.TryGetValue(group[0].QueueId, out IndexEntry? entry))
                {
                    continue;
                }

                IReadOnlyList<PendingRecord> records = _encoder.Encode(entry, group, writer, _writer.Segment.Now?.Generation ?? _pool.NextGeneration);
                for (int i = 0; i < records.Count; i++)
                {
                    task = _writer.ChangesTask();
                    start |= _writer.Enqueue(records[i], urgent);
                }
            }
        }

        if (start)
        {
            _writer.Run();
        }

        return task ?? Task.FromResult(true);
    }

    /// <inheritdoc />
    public ValueTask<StoredMessage?> LoadAsync(string queueId, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(_messages.Load(queueId));
    }

    /// <inheritdoc />
    public bool TryGetEntry(string queueId, out QueueEntry entry)
    {
        lock (_gate)
        {
            bool found = _index.Entries.TryGetValue(queueId, out IndexEntry? row);
            entry = found ? row!.ToQueueEntry() : default;
            return found;
        }
    }

    /// <inheritdoc />
    public IReadOnlyList<QueueEntry> Entries() => _messages.Entries();

    /// <summary>Completes when everything recorded so far is durable, or was refused by the disk.</summary>
    public Task FlushAsync() => _writer.FlushAsync();

    /// <summary>Makes everything recorded durable, saves the index and closes the spool. No call may be under way or follow.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        _compactionDue.Writer.TryComplete();
        await _compacting;
        await _writer.StopAsync();
        await _snapshots.TakeAsync();
        await _disk.OffloadAsync(() => _files.DeleteFree(_log));
        CloseFiles();
        _stopping.Dispose();
    }

    /// <summary>One pass of winning space back and saving the index, for tests that decide when.</summary>
    internal Task CompactAsync() => _compactor.PassAsync(_stopping.Token);

    /// <summary>Bytes of arriving content in memory, for tests that count.</summary>
    internal long ArrivingBytes => _memory.Used;

    /// <summary>The index, for tests that count.</summary>
    internal SpoolIndex Index => _index;

    private async Task CompactWhenDueAsync()
    {
        // A first pass at once: an earlier run may have left segments without anything in them. What a pass could not do is tried
        // again by itself, since an idle queue asks for none.
        TimeSpan pause = FirstPause;
        await using ITimer again = _time.CreateTimer(
            static due => ((Channel<bool>)due!).Writer.TryWrite(true), _compactionDue, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _compactionDue.Writer.TryWrite(true);
        while (await _compactionDue.Reader.WaitToReadAsync())
        {
            while (_compactionDue.Reader.TryRead(out _))
            {
                if (!_stopping.IsCancellationRequested)
                {
                    await _compactor.PassAsync(_stopping.Token);
                }
            }

            bool needsAnother = _compactor.NeedsAnotherPass;
            again.Change(needsAnother ? pause : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            pause = needsAnother ? TimeSpan.FromTicks(Math.Min(2 * pause.Ticks, LongestPause.Ticks)) : FirstPause;
        }
    }

    private static RecordWriter ThreadWriter() => _threadWriter ??= new RecordWriter();

    private static IEnumerable<IReadOnlyList<QueueChange>> GroupByMessage(IReadOnlyList<QueueChange> changes)
    {
        for (int i = 1; i < changes.Count; i++)
        {
            if (changes[i].QueueId != changes[0].QueueId)
            {
                return changes.GroupBy(static change => change.QueueId).Select(static group => group.ToArray());
            }
        }

        return changes.Count == 0 ? [] : [changes];
    }

    private async ValueTask<StoreStatus> AppendMaildropAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_index.KnowsMaildrop(envelope.MaildropKey))
            {
                // A duplicate's file is removed, so the message must be on the disk by now. What recovery has read may be in the
                // kernel's memory only, whatever its own sync said: one that failed in the last process is not made good by that.
                return IsSecured() ? StoreStatus.Duplicate : StoreStatus.Failed;
            }

            // The same file twice at once: whether the first gets through is not known yet, so this is a temporary refusal.
            if (!_arrivingMaildrop.Add(envelope.MaildropKey))
            {
                return StoreStatus.Failed;
            }
        }

        try
        {
            return await AppendAnyAsync(envelope, content, cancellationToken);
        }
        finally
        {
            lock (_gate)
            {
                _arrivingMaildrop.Remove(envelope.MaildropKey);
            }
        }
    }

    private ValueTask<StoreStatus> AppendAnyAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken)
    {
        if (content is FileContent { IsNew: true } file)
        {
            return AppendFileAsync(envelope, file);
        }

        return content.TryGetMemory(out ReadOnlyMemory<byte> bytes) && (content is BufferedContent || bytes.Length <= _options.InlineLimit)
            ? Submit(envelope, content, bytes, null)
            : AppendCopyAsync(envelope, content, cancellationToken);
    }

    /// <summary>The file is durable before the record that names it.</summary>
    private async ValueTask<StoreStatus> AppendFileAsync(Envelope envelope, FileContent content)
    {
        int errno = await _files.SyncAsync(content.File);
        if (errno != 0)
        {
            _log.Warning($"spool: {new DiskException("fdatasync", _files.PathOf(content.Number), errno).Message}");
            return DiskException.IsNoSpace(errno) ? StoreStatus.NoSpace : StoreStatus.Failed;
        }

        return await Submit(envelope, content, default, content);
    }

    /// <summary>Content of another message's file, or memory above the limit: it gets a file of its own.</summary>
    private async ValueTask<StoreStatus> AppendCopyAsync(Envelope envelope, MessageContent content, CancellationToken cancellationToken)
    {
        try
        {
            using ContentWriter copy = CreateContent();
            byte[] buffer = new byte[64 << 10];
            for (long offset = 0; await content.ReadAsync(offset, buffer, cancellationToken) is > 0 and var count; offset += count)
            {
                await copy.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
            }

            MessageContent copied = await copy.CompleteAsync();
            StoreStatus status = await AppendAnyAsync(envelope, copied, cancellationToken);
            (status == StoreStatus.Stored ? content : copied).Dispose();
            return status;
        }
        catch (IOException failure)
        {
            _log.Warning($"spool: {failure.Message}");
            return DiskException.IsNoSpace(failure.HResult) ? StoreStatus.NoSpace : StoreStatus.Failed;
        }
    }

    private ValueTask<StoreStatus> Submit(Envelope envelope, MessageContent content, ReadOnlyMemory<byte> inline, FileContent? file)
    {
        RecordWriter writer = ThreadWriter();
        writer.Clear();
        PendingRecord.WriteId(writer, envelope.QueueId);
        RecordFormat.WriteMessage(writer, envelope, content.Length);
        var entry = new IndexEntry(envelope.QueueId)
        {
            ArrivalTicks = envelope.Arrival.UtcTicks,
            NextTicks = envelope.Arrival.UtcTicks,
            Size = content.Length,
            RecipientCount = envelope.Recipients.Count,
            Flags = envelope.Hold ? EntryFlags.Hold : EntryFlags.None,
        };
        if (envelope.MaildropKey.Length > 0)
        {
            entry.MakeExtra().MaildropKey = envelope.MaildropKey;
        }

        if (file is not null)
        {
            RecordFormat.WriteFileContent(writer, file.Number, file.Checksum);
            EntryExtra extra = entry.MakeExtra();
            (extra.ContentFile, extra.ContentChecksum) = (file.Number, file.Checksum);
            entry.Flags |= EntryFlags.ContentVerified;
        }
        else
        {
            writer.Byte((byte)RecordItem.InlineContent);
        }

        long bytes = SegmentCopier.Bound(writer.Length + inline.Length, envelope.Recipients.Count);
        if (bytes > SegmentFormat.MostRecord(_options.SegmentBytes))
        {
            _log.Warning($"{envelope.QueueId}: spool: not queued: with {envelope.Recipients.Count} recipients it takes {bytes} bytes of one segment (raise spool_segment_size)");
            return ValueTask.FromResult(StoreStatus.NoSpace);
        }

        PendingRecord record = PendingRecord.Pool.Take();
        record.Set(PendingKind.Append, envelope.QueueId, writer, inline);
        (record.Entry, record.Envelope, record.Owner) = (entry, envelope, content);
        ValueTask<StoreStatus> task = record.Wait(_options.Continuations);
        bool start;
        lock (_gate)
        {
            start = _writer.Enqueue(record, urgent: true);
        }

        if (start)
        {
            _writer.Run();
        }

        return task;
    }

    private void Recover()
    {
        _disk.CreateDirectory(_options.Directory);
        TakeLock();
        var recovery = new SpoolRecovery(_options, _disk, _index, _log, readOnly: false);
        recovery.Run();
        _pool.NextGeneration = recovery.NextGeneration;
        foreach (string name in recovery.FreeFiles)
        {
            _pool.Adopt(name);
        }

        _compactor.Distrust([.. recovery.Untrusted()]);
        Damages = recovery.Damages;
        foreach (SpoolDamage damage in Damages)
        {
            _log.Warning(damage.ToString());
        }

        _writer.Segment.PrepareNext();
    }

    private bool IsSecured()
    {
        if (_compactor.IsSecured)
        {
            return true;
        }

        _compactionDue.Writer.TryWrite(true);
        return false;
    }

    private void TakeLock()
    {
        string path = Path.Combine(_options.Directory, "lock");
        try
        {
            _lock = _disk.Open(path, DiskOpen.ReadWrite);
        }
        catch (DiskException failure) when (failure.Errno == DiskException.NoSuchFile)
        {
            _lock = _disk.Open(path, DiskOpen.CreateNew);
        }

        if (!_lock.TryLock())
        {
            throw new SpoolInUseException(_options.Directory);
        }
    }

    private void CloseFiles()
    {
        _writer.Dispose();
        _pool.Close();
        lock (_gate)
        {
            foreach (Segment segment in _index.Segments.Values)
            {
                segment.Dispose();
            }

            _index.Segments.Clear();
        }

        _lock?.Dispose();
    }
}
