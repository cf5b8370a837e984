using System.Buffers;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Where a record is.</summary>
internal readonly record struct RecordPlace(Segment Segment, int Offset, int Length);

/// <summary>A message record read back.</summary>
/// <param name="Envelope">The envelope as written.</param>
/// <param name="Content">The inline content, which the taker releases; null if it is in a file.</param>
/// <param name="Status">The state that compaction wrote with it, if any.</param>
internal sealed record LoadedMessage(Envelope Envelope, SharedBuffer? Content, MessageStatus? Status);

/// <summary>Reads single records back and checks them. Blocks on the disk.</summary>
internal static class MessageLoader
{
    /// <summary>Reads a message; null if its bytes are damaged.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static LoadedMessage? LoadMessage(RecordPlace place, string queueId)
    {
        byte[]? buffer = Read(place, queueId, RecordType.Message, out int bodyStart);
        if (buffer is null)
        {
            return null;
        }

        var reader = new RecordReader(buffer.AsSpan(bodyStart, place.Length - bodyStart));
        Envelope? envelope = null;
        MessageSummary summary = default;
        MessageStatus? status = null;
        SharedBuffer? content = null;
        while (!reader.AtEnd)
        {
            switch ((RecordItem)reader.Byte())
            {
                case RecordItem.Summary:
                    summary = RecordFormat.ReadSummary(ref reader);
                    break;
                case RecordItem.Envelope:
                    envelope = RecordFormat.ReadEnvelope(ref reader, queueId, summary);
                    break;
                case RecordItem.FileContent:
                    reader.Number();
                    reader.Number();
                    break;
                case RecordItem.Span:
                    RecordFormat.ReadSpan(ref reader);
                    break;
                case RecordItem.Status:
                    status = RecordFormat.ReadStatus(ref reader);
                    break;
                default:
                    int length = (int)summary.Size;
                    content = new SharedBuffer(buffer, place.Length - length, length);
                    reader = default;
                    break;
            }
        }

        if (content is null)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return envelope is null || reader.Failed ? null : new LoadedMessage(envelope, content, status);
    }

    /// <summary>The delays that a record holds; none if it is damaged, since they only say why a recipient waits.</summary>
    public static RecipientDelay[] LoadDelays(RecordPlace place, string queueId)
    {
        RecipientDelay[] delays = [];
        Walk(place, queueId, (item, status, deferred, _) => delays = status?.Delays ?? deferred ?? delays);
        return delays;
    }

    /// <summary>The recipients that an expansion's record holds; null if it is damaged.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static EnvelopeRecipient[]? LoadExpansion(RecordPlace place, string queueId, int firstIndex)
    {
        EnvelopeRecipient[]? recipients = null;
        Walk(place, queueId, (item, status, _, expanded) =>
        {
            if (status is not null && status.FirstAdded == firstIndex && status.Added.Length > 0)
            {
                recipients = status.Added;
            }
            else if (item == RecordItem.Expanded && expanded.FirstIndex == firstIndex)
            {
                recipients = expanded.Into;
            }
        });
        return recipients;
    }

    private static void Walk(
        RecordPlace place,
        string queueId,
        Action<RecordItem, MessageStatus?, RecipientDelay[]?, (int Recipient, int FirstIndex, EnvelopeRecipient[] Into)> visit)
    {
        byte[]? buffer = Read(place, queueId, null, out int bodyStart);
        if (buffer is null)
        {
            return;
        }

        var reader = new RecordReader(buffer.AsSpan(bodyStart, place.Length - bodyStart));
        while (!reader.AtEnd)
        {
            var item = (RecordItem)reader.Byte();
            switch (item)
            {
                case RecordItem.Summary:
                    RecordFormat.ReadSummary(ref reader);
                    break;
                case RecordItem.Envelope:
                    RecordFormat.SkipEnvelope(ref reader);
                    break;
                case RecordItem.FileContent:
                    reader.Number();
                    reader.Number();
                    break;
                case RecordItem.Span:
                    RecordFormat.ReadSpan(ref reader);
                    break;
                case RecordItem.Done:
                    RecordFormat.ReadPositions(ref reader);
                    break;
                case RecordItem.Expanded:
                    visit(item, null, null, RecordFormat.ReadExpanded(ref reader));
                    break;
                case RecordItem.Deferred:
                    visit(item, null, RecordFormat.ReadDeferred(ref reader).Delays, default);
                    break;
                case RecordItem.Status:
                    visit(item, RecordFormat.ReadStatus(ref reader), null, default);
                    break;
                case RecordItem.Expire:
                    reader.Flag();
                    break;
                case RecordItem.InlineContent:
                    reader = default;
                    break;
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>Reads a record into a rented buffer and checks it; null if it is not what was written.</summary>
    private static byte[]? Read(RecordPlace place, string queueId, RecordType? type, out int bodyStart)
    {
        bodyStart = 0;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(place.Length);
        bool good = false;
        try
        {
            Span<byte> record = buffer.AsSpan(0, place.Length);
            good = place.Segment.File.Read(record, place.Offset) == place.Length
                && SegmentFormat.TryReadRecordHeader(record, place.Segment.Seed, place.Offset, out RecordHeader header)
                && header.Length == place.Length && (type is null || header.Type == type)
                && SegmentFormat.IsBodyGood(record, header)
                && Encoding.Latin1.GetString(record.Slice(SegmentFormat.RecordHeaderSize, header.IdLength)) == queueId;
            bodyStart = SegmentFormat.RecordHeaderSize + queueId.Length;
            return good ? buffer : null;
        }
        finally
        {
            if (!good)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }
}
