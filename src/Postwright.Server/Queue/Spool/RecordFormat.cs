using System.Text;

namespace Postwright.Server.Queue.Spool;

/// <summary>The items that a record's body consists of.</summary>
internal enum RecordItem : byte
{
    /// <summary>Arrival, size, number of recipients, hold, maildrop key: all that the index needs of a message.</summary>
    Summary = 1,
    Envelope = 2,

    /// <summary>The content is in a file: number, checksum.</summary>
    FileContent = 3,

    /// <summary>The content: the rest of the record.</summary>
    InlineContent = 4,
    Done = 5,
    Expanded = 6,
    Deferred = 7,
    Hold = 8,
    Release = 9,
    Expire = 10,

    /// <summary>The whole state at once: replaces all that came before.</summary>
    Status = 11,

    /// <summary>In Remove and Abort: the segments in which a record of the message may stand, first and last.</summary>
    Span = 12,
}

/// <summary>What the index needs of a message.</summary>
internal readonly record struct MessageSummary(long ArrivalTicks, long Size, int RecipientCount, bool Hold, string MaildropKey);

/// <summary>The whole state of a message, as compaction writes it.</summary>
internal sealed record MessageStatus(
    int RecipientCount, EntryFlags Flags, byte Warnings, long NextTicks, int[] Done, int FirstAdded, EnvelopeRecipient[] Added, RecipientDelay[] Delays);

/// <summary>
/// Writes and reads the items of records. A record's body is a row of items, each begun by its kind; the reader of one
/// knows its length only by reading it, so an unknown kind ends the reading (the checksum has said before that the bytes
/// are ours).
/// </summary>
internal static class RecordFormat
{
    /// <summary>Bytes that one of the positions takes at most that <see cref="WriteDone"/> and <see cref="WriteStatus"/> write.</summary>
    public const int PositionBound = 5;

    private const byte SameOriginal = 0x10;
    private const byte HasDsnRecipient = 0x20;
    private const byte HasVia = 0x40;

    public static void WriteMessage(RecordWriter writer, Envelope envelope, long size)
    {
        writer.Byte((byte)RecordItem.Summary);
        writer.Number(envelope.Arrival.UtcTicks);
        writer.Number(size);
        writer.Number(envelope.Recipients.Count);
        writer.Flag(envelope.Hold);
        writer.Text(envelope.MaildropKey);

        writer.Byte((byte)RecordItem.Envelope);
        writer.Text(envelope.Sender);
        writer.Text(envelope.Origin.ClientName);
        writer.Text(envelope.Origin.ClientAddress);
        writer.Text(envelope.Origin.ClientPort);
        writer.Text(envelope.Origin.Helo);
        writer.Text(envelope.Origin.Protocol);
        writer.Byte((byte)envelope.Return);
        writer.Text(envelope.EnvelopeId);
        writer.Byte((byte)envelope.Encoding);
        writer.Flag(envelope.IsNotice);
        WriteRecipients(writer, envelope.Recipients);
    }

    public static MessageSummary ReadSummary(ref RecordReader reader) =>
        new(reader.Long(), reader.Long(), reader.Small(), reader.Flag(), reader.Text());

    public static Envelope ReadEnvelope(ref RecordReader reader, string queueId, MessageSummary summary) => new()
    {
        QueueId = queueId,
        Arrival = new DateTimeOffset(Math.Clamp(summary.ArrivalTicks, 0, DateTime.MaxValue.Ticks), TimeSpan.Zero),
        Size = summary.Size,
        Hold = summary.Hold,
        MaildropKey = summary.MaildropKey,
        Sender = reader.Text(),
        Origin = new MessageOrigin(reader.Text(), reader.Text(), reader.Text(), reader.Text(), reader.Text()),
        Return = (DsnReturn)reader.Byte(),
        EnvelopeId = reader.Text(),
        Encoding = (MessageEncoding)reader.Byte(),
        IsNotice = reader.Flag(),
        Recipients = ReadRecipients(ref reader),
    };

    /// <summary>Passes over an envelope without making its strings.</summary>
    public static void SkipEnvelope(ref RecordReader reader)
    {
        for (int i = 0; i < 6; i++)
        {
            reader.SkipText();
        }

        reader.Byte();
        reader.SkipText();
        reader.Byte();
        reader.Byte();
        int count = reader.Count();
        for (int i = 0; i < count && !reader.Failed; i++)
        {
            byte kind = reader.Byte();
            reader.SkipText();
            if ((kind & SameOriginal) == 0)
            {
                reader.SkipText();
            }

            if ((kind & HasDsnRecipient) != 0)
            {
                reader.SkipText();
            }

            if ((kind & HasVia) != 0)
            {
                reader.SkipText();
            }
        }
    }

    public static void WriteRecipients(RecordWriter writer, IReadOnlyList<EnvelopeRecipient> recipients)
    {
        writer.Number(recipients.Count);
        for (int i = 0; i < recipients.Count; i++)
        {
            EnvelopeRecipient recipient = recipients[i];
            bool same = recipient.OriginalAddress == recipient.Address;
            bool dsn = recipient.DsnOriginalRecipient.Length > 0;
            bool via = recipient.Via.Length > 0;
            writer.Byte((byte)((byte)recipient.Notify | (same ? SameOriginal : 0) | (dsn ? HasDsnRecipient : 0) | (via ? HasVia : 0)));
            writer.Text(recipient.Address);
            if (!same)
            {
                writer.Text(recipient.OriginalAddress);
            }

            if (dsn)
            {
                writer.Text(recipient.DsnOriginalRecipient);
            }

            if (via)
            {
                writer.Text(recipient.Via);
            }
        }
    }

    /// <summary>Bytes that <see cref="WriteRecipients"/> takes at most for one.</summary>
    public static int Bound(EnvelopeRecipient recipient) =>
        21 + Encoding.UTF8.GetByteCount(recipient.Address) + Encoding.UTF8.GetByteCount(recipient.OriginalAddress)
        + Encoding.UTF8.GetByteCount(recipient.DsnOriginalRecipient) + Encoding.UTF8.GetByteCount(recipient.Via);

    public static EnvelopeRecipient[] ReadRecipients(ref RecordReader reader)
    {
        var recipients = new EnvelopeRecipient[reader.Count()];
        for (int i = 0; i < recipients.Length; i++)
        {
            byte kind = reader.Byte();
            string address = reader.Text();
            string original = (kind & SameOriginal) != 0 ? address : reader.Text();
            string dsn = (kind & HasDsnRecipient) != 0 ? reader.Text() : "";
            string via = (kind & HasVia) != 0 ? reader.Text() : "";
            recipients[i] = new EnvelopeRecipient(address, original, (DsnNotify)(kind & 0xf), dsn) { Via = via };
            if (reader.Failed)
            {
                return [];
            }
        }

        return recipients;
    }

    public static void WriteFileContent(RecordWriter writer, ulong file, uint checksum)
    {
        writer.Byte((byte)RecordItem.FileContent);
        writer.Number(file);
        writer.Number(checksum);
    }

    public static void WriteDone(RecordWriter writer, IReadOnlyList<int> recipients)
    {
        writer.Byte((byte)RecordItem.Done);
        WritePositions(writer, recipients);
    }

    public static void WriteExpanded(RecordWriter writer, int recipient, int firstIndex, IReadOnlyList<EnvelopeRecipient> into)
    {
        writer.Byte((byte)RecordItem.Expanded);
        writer.Number(recipient);
        writer.Number(firstIndex);
        WriteRecipients(writer, into);
    }

    public static (int Recipient, int FirstIndex, EnvelopeRecipient[] Into) ReadExpanded(ref RecordReader reader) =>
        (reader.Small(), reader.Small(), ReadRecipients(ref reader));

    public static void WriteDeferred(RecordWriter writer, long nextTicks, int warnings, IReadOnlyList<RecipientDelay> delays)
    {
        writer.Byte((byte)RecordItem.Deferred);
        writer.Number(nextTicks);
        writer.Byte((byte)Math.Clamp(warnings, 0, 255));
        WriteDelays(writer, delays);
    }

    public static (long NextTicks, byte Warnings, RecipientDelay[] Delays) ReadDeferred(ref RecordReader reader) =>
        (reader.Long(), reader.Byte(), ReadDelays(ref reader));

    public static void WriteExpire(RecordWriter writer, bool release)
    {
        writer.Byte((byte)RecordItem.Expire);
        writer.Flag(release);
    }

    public static void WriteSpan(RecordWriter writer, uint first, uint last)
    {
        writer.Byte((byte)RecordItem.Span);
        writer.Number(first);
        writer.Number(last);
    }

    public static (uint First, uint Last) ReadSpan(ref RecordReader reader) => ((uint)reader.Small(), (uint)reader.Small());

    public static void WriteStatus(RecordWriter writer, MessageStatus status)
    {
        writer.Byte((byte)RecordItem.Status);
        writer.Number(status.RecipientCount);
        writer.Byte((byte)status.Flags);
        writer.Byte(status.Warnings);
        writer.Number(status.NextTicks);
        WritePositions(writer, status.Done);
        writer.Number(status.FirstAdded);
        WriteRecipients(writer, status.Added);
        WriteDelays(writer, status.Delays);
    }

    public static MessageStatus ReadStatus(ref RecordReader reader) => new(
        reader.Small(), (EntryFlags)reader.Byte(), reader.Byte(), reader.Long(), ReadPositions(ref reader), reader.Small(), ReadRecipients(ref reader), ReadDelays(ref reader));

    public static int[] ReadPositions(ref RecordReader reader)
    {
        var positions = new int[reader.Count()];
        for (int i = 0; i < positions.Length; i++)
        {
            positions[i] = reader.Small();
        }

        return positions;
    }

    private static void WritePositions(RecordWriter writer, IReadOnlyList<int> positions)
    {
        writer.Number(positions.Count);
        for (int i = 0; i < positions.Count; i++)
        {
            writer.Number(positions[i]);
        }
    }

    private static void WriteDelays(RecordWriter writer, IReadOnlyList<RecipientDelay> delays)
    {
        writer.Number(delays.Count);
        for (int i = 0; i < delays.Count; i++)
        {
            writer.Number(delays[i].Recipient);
            writer.Text(delays[i].Dsn);
            writer.Text(delays[i].Reason);
        }
    }

    private static RecipientDelay[] ReadDelays(ref RecordReader reader)
    {
        var delays = new RecipientDelay[reader.Count()];
        for (int i = 0; i < delays.Length; i++)
        {
            delays[i] = new RecipientDelay(reader.Small(), reader.Text(), reader.Text());
        }

        return reader.Failed ? [] : delays;
    }
}
