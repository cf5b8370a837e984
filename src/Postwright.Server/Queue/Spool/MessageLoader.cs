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

        var items = new RecordItems(buffer.AsSpan(bodyStart, place.Length - bodyStart));
        Envelope? envelope = null;
        MessageStatus? status = null;
        SharedBuffer? content = null;
        while (items.Next())
        {
            switch (items.Kind)
            {
                case RecordItem.Envelope:
                    envelope = items.Envelope(queueId);
                    break;
                case RecordItem.Status:
                    status = items.Status;
                    break;
                case RecordItem.InlineContent:
                    int length = (int)items.Summary.Size;
                    content = new SharedBuffer(buffer, place.Length - length, length);
                    break;
            }
        }

        if (content is null)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return envelope is null || items.Failed ? null : new LoadedMessage(envelope, content, status);
    }

    /// <summary>The delays that a record holds; none if it is damaged, since they only say why a recipient waits.</summary>
    public static RecipientDelay[] LoadDelays(RecordPlace place, string queueId)
    {
        RecipientDelay[] delays = [];
        byte[]? buffer = Read(place, queueId, null, out int bodyStart);
        if (buffer is not null)
        {
            var items = new RecordItems(buffer.AsSpan(bodyStart, place.Length - bodyStart));
            while (items.Next())
            {
                delays = items.Delays ?? delays;
            }

            ArrayPool<byte>.Shared.Return(buffer);
        }

        return delays;
    }

    /// <summary>The recipients that an expansion's record holds; null if it is damaged.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    public static EnvelopeRecipient[]? LoadExpansion(RecordPlace place, string queueId, int firstIndex)
    {
        EnvelopeRecipient[]? recipients = null;
        byte[]? buffer = Read(place, queueId, null, out int bodyStart);
        if (buffer is not null)
        {
            var items = new RecordItems(buffer.AsSpan(bodyStart, place.Length - bodyStart));
            while (items.Next())
            {
                if (items.Status is { Added.Length: > 0 } status && status.FirstAdded == firstIndex)
                {
                    recipients = status.Added;
                }
                else if (items.Kind == RecordItem.Expanded && items.Expanded.FirstIndex == firstIndex)
                {
                    recipients = items.Expanded.Into;
                }
            }

            ArrayPool<byte>.Shared.Return(buffer);
        }

        return recipients;
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
