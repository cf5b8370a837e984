using System.Globalization;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Writes what is needed of a segment anew, within a byte rate. Each copy is made under the gate from the row as it is then,
/// and only while no change of the message is on its way, so that the order in the log is the order of what happened.
/// </summary>
internal sealed class SegmentCopier(
    SpoolOptions options, IDisk disk, TimeProvider time, SpoolIndex index, Lock gate, SpoolWriter writer, StoredMessages messages)
{
    private const int GroupBytes = 1 << 20;
    private const int Tries = 20;

    /// <summary>Bytes of a record beside what the message has any number of: its header, and the fixed parts of its status.</summary>
    private const int StatusBound = 100;

    private readonly int _mostRecord = SegmentFormat.MostRecord(options.SegmentBytes);

    private readonly List<(Task<bool> Task, StoredMessage? Message)> _group = [];
    private long _groupBytes;

    /// <summary>Bytes of a copy without delays, at most.</summary>
    /// <param name="message">Bytes of the message's own items, content included.</param>
    /// <param name="done">How many of its recipients are done.</param>
    public static long Bound(long message, int done) => StatusBound + message + ((long)done * RecordFormat.PositionBound);

    /// <summary>Copies; true once all of it is durable.</summary>
    /// <exception cref="IOException">The disk failed, or a message is damaged.</exception>
    public async Task<bool> CopyAsync(Segment segment, CancellationToken stopping)
    {
        var needed = new NeededRecords(index, gate);
        await disk.OffloadAsync(() => new SegmentScanner(segment, segment.Synced, segment.ReadEnd, needed).Scan(SegmentFormat.Page));
        if (needed.HasChangesOfGone && !await AreRemovalsWrittenAsync())
        {
            return false;
        }

        foreach ((long offset, long length) in needed.Damages)
        {
            string name = Path.Combine(options.CorruptDirectory, string.Create(CultureInfo.InvariantCulture, $"{segment.Generation}-{offset}"));
            bool kept = false;
            await disk.OffloadAsync(() => kept = DamageKeeper.Keep(disk, options.CorruptDirectory, name, segment.File, offset, length));
            if (!kept)
            {
                return false;
            }
        }

        bool good = true;
        foreach ((string queueId, uint first, uint last) in needed.Removals)
        {
            EnqueueRemoval(queueId, first, last);
            good &= await EndGroupAsync(GroupBytes, stopping);
        }

        foreach (IndexEntry entry in needed.Messages)
        {
            good &= await CopyMessageAsync(entry, segment, whole: true) && await EndGroupAsync(GroupBytes, stopping);
        }

        foreach (IndexEntry entry in needed.States)
        {
            good &= await CopyMessageAsync(entry, segment, whole: false) && await EndGroupAsync(GroupBytes, stopping);
        }

        return await EndGroupAsync(0, stopping) && good && !stopping.IsCancellationRequested;
    }

    /// <summary>Writes messages anew, wherever they stand; true once all are durable.</summary>
    /// <exception cref="IOException">The disk failed, or a message is damaged.</exception>
    public async Task<bool> CopyAsync(IReadOnlyList<IndexEntry> entries, CancellationToken stopping)
    {
        bool good = true;
        foreach (IndexEntry entry in entries)
        {
            good &= await CopyMessageAsync(entry, entry.Segment, whole: true) && await EndGroupAsync(GroupBytes, stopping);
        }

        return await EndGroupAsync(0, stopping) && good;
    }

    /// <summary>What was removed before this call cannot come back.</summary>
    private async Task<bool> AreRemovalsWrittenAsync()
    {
        if (await writer.FlushAsync())
        {
            return true;
        }

        lock (gate)
        {
            return !index.HasUnwrittenRemovals;
        }
    }

    private async Task<bool> EndGroupAsync(int most, CancellationToken stopping)
    {
        if (_groupBytes <= most && most > 0)
        {
            return !stopping.IsCancellationRequested;
        }

        await writer.FlushAsync();
        bool good = true;
        foreach ((Task<bool> task, StoredMessage? message) in _group)
        {
            good &= await task;
            message?.Dispose();
        }

        TimeSpan pause = options.CompactionRate <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds((double)_groupBytes / options.CompactionRate);
        _group.Clear();
        _groupBytes = 0;
        if (pause >= TimeSpan.FromMilliseconds(1) && !stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(pause, time, stopping);
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }

        return good && !stopping.IsCancellationRequested;
    }

    private void EnqueueRemoval(string queueId, uint first, uint last)
    {
        using var body = new RecordWriter();
        PendingRecord.WriteId(body, queueId);
        RecordFormat.WriteSpan(body, first, last);
        PendingRecord record = PendingRecord.Pool.Take();
        record.Set(PendingKind.OldRemove, queueId, body, default);
        record.SpanFirst = first;
        lock (gate)
        {
            Enqueue(record, null);
        }
    }

    private async Task<bool> CopyMessageAsync(IndexEntry entry, Segment? segment, bool whole)
    {
        for (int attempt = 0; attempt < Tries; attempt++)
        {
            (Segment?, int) statePlace;
            lock (gate)
            {
                if (entry.Has(EntryFlags.Removed) || (whole && entry.Segment != segment))
                {
                    return true;
                }

                statePlace = (entry.StateSegment, entry.StateOffset);
            }

            StoredMessage? message = null;
            await disk.OffloadAsync(() => message = messages.Load(entry.QueueId));
            if (message is null)
            {
                continue;
            }

            lock (gate)
            {
                if (entry.PendingRecords == 0 && !entry.Has(EntryFlags.Removed) && statePlace == (entry.StateSegment, entry.StateOffset)
                    && entry.RecipientCount == message.Envelope.Recipients.Count && (!whole || entry.Segment == segment))
                {
                    Enqueue(MakeCopy(entry, message, whole), message);
                    return true;
                }
            }

            message.Dispose();
            await writer.FlushAsync();
        }

        return false;
    }

    private PendingRecord MakeCopy(IndexEntry entry, StoredMessage message, bool whole)
    {
        using var body = new RecordWriter();
        PendingRecord.WriteId(body, entry.QueueId);
        PendingRecord record = PendingRecord.Pool.Take();
        Expansion[] expansions = entry.Extra?.Expansions ?? [];
        int original = whole || expansions.Length == 0 ? entry.RecipientCount : expansions[0].FirstIndex;
        MessageStatus status = MakeStatus(entry, message, original);
        ReadOnlyMemory<byte> content = default;
        if (whole && entry.Extra is null or { ContentFile: 0 })
        {
            message.Content.TryGetMemory(out content);
        }

        if (whole)
        {
            RecordFormat.WriteMessage(body, message.Envelope, entry.Size);
            RecordFormat.WriteSpan(body, entry.Origin, 0);
        }

        long room = _mostRecord - Bound(body.Length + content.Length, status.Done.Length) - status.Added.Sum(static recipient => (long)RecordFormat.Bound(recipient));
        status = status with { Delays = [.. DelayTexts.Fit(status.Delays, Math.Min(room, _mostRecord / 2))] };
        RecordFormat.WriteStatus(body, status);
        if (whole && entry.Extra is { ContentFile: > 0 } extra)
        {
            RecordFormat.WriteFileContent(body, extra.ContentFile, extra.ContentChecksum);
        }
        else if (whole)
        {
            body.Byte((byte)RecordItem.InlineContent);
        }

        record.Set(whole ? PendingKind.Copy : PendingKind.Status, entry.QueueId, body, content);
        record.Entry = entry;
        record.HasDelays = true;
        record.ReplacedExpansions = expansions.Length;
        if (status.Added.Length > 0)
        {
            record.Expansions = [new Expansion { FirstIndex = original, Count = status.Added.Length }];
        }

        entry.PendingRecords++;
        return record;
    }

    private static MessageStatus MakeStatus(IndexEntry entry, StoredMessage message, int original)
    {
        var done = new List<int>();
        var delays = new List<RecipientDelay>();
        for (int i = 0; i < message.States.Count; i++)
        {
            if (entry.IsDone(i))
            {
                done.Add(i);
            }
            else if (message.States[i].DelayReason.Length > 0 || message.States[i].DelayDsn.Length > 0)
            {
                delays.Add(new RecipientDelay(i, message.States[i].DelayDsn, message.States[i].DelayReason));
            }
        }

        return new MessageStatus(
            original, entry.Flags, entry.Warnings, entry.NextTicks, [.. done], original, [.. message.Envelope.Recipients.Skip(original)], [.. delays]);
    }

    /// <summary>The gate is held; the flush that ends the group starts the commit.</summary>
    private void Enqueue(PendingRecord record, StoredMessage? message)
    {
        record.Done = new TaskCompletionSource<bool>(options.Continuations);
        _group.Add((record.Done.Task, message));
        _groupBytes += record.Length;
        writer.Enqueue(record, urgent: false);
    }
}
