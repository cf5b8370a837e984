using System.Globalization;
using Postwright.Core.Control;
using Postwright.Core.Records;
using Postwright.Server.Queue;

namespace Postwright.Server.Master.Control;

/// <summary>
/// A queued message as the queue file that Postfix would keep it in, so that postcat shows it in the same way: sizes and times, sender,
/// where it came from, recipients with what they were, content line by line.
/// </summary>
public sealed class QueueFileImage(StoredMessage message) : IDisposable
{
    /// <summary>The size record: six numbers of 15 columns.</summary>
    private const int SizeRecordLength = 95;

    /// <summary>line_length_limit as it is usually set; longer lines are cut into continued records, as cleanup cuts them.</summary>
    private const int LineLimit = 2048;

    private readonly MemoryStream _bytes = new();

    /// <summary>Sends the image as <see cref="ControlProtocol.Bytes"/> records.</summary>
    /// <exception cref="IOException">The content cannot be read.</exception>
    public async ValueTask WriteAsync(IControlAnswer answer, CancellationToken cancellationToken)
    {
        await foreach (ReadOnlyMemory<byte> part in PartsAsync(cancellationToken))
        {
            for (int at = 0; at < part.Length; at += ControlProtocol.RecordLimit)
            {
                await answer.WriteAsync(ControlProtocol.Bytes, part.Slice(at, Math.Min(part.Length - at, ControlProtocol.RecordLimit)), cancellationToken);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose() => _bytes.Dispose();

    /// <summary>The image, part by part.</summary>
    private async IAsyncEnumerable<ReadOnlyMemory<byte>> PartsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var records = new RecordWriter(_bytes);
        WriteEnvelope(records);
        records.Write(RecordType.Message);
        records.Flush();
        byte[] envelope = _bytes.ToArray();
        _bytes.SetLength(0);

        // The size record stands before the envelope and names the offset at which the content begins.
        long offset = 2 + SizeRecordLength + envelope.Length;
        long size = 0;
        await foreach (ReadOnlyMemory<byte> lines in ContentAsync(records, cancellationToken))
        {
            // Postfix's message size is that of the content's records.
            size += lines.Length;
        }

        _bytes.SetLength(0);
        records.WriteBytes(RecordType.Size, string.Create(
            CultureInfo.InvariantCulture, $"{size,15} {offset,15} {message.Envelope.Recipients.Count,15} {0,15} {size,15} {0,15}"));
        records.Flush();
        yield return _bytes.ToArray();
        yield return envelope;
        await foreach (ReadOnlyMemory<byte> lines in ContentAsync(records, cancellationToken))
        {
            yield return lines;
        }

        _bytes.SetLength(0);
        records.Write(RecordType.Extracted);
        records.Write(RecordType.End);
        records.Flush();
        yield return _bytes.ToArray();
    }

    private void WriteEnvelope(RecordWriter records)
    {
        Envelope envelope = message.Envelope;
        long seconds = envelope.Arrival.ToUnixTimeSeconds();
        long microseconds = envelope.Arrival.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond;
        records.WriteUtf8(RecordType.Time, string.Create(CultureInfo.InvariantCulture, $"{seconds} {microseconds,5}"));
        Attribute(records, "create_time", seconds.ToString(CultureInfo.InvariantCulture));
        Attribute(records, "envelope_id", envelope.EnvelopeId);
        Attribute(records, "ret_flags", envelope.Return switch { DsnReturn.Full => "1", DsnReturn.Headers => "2", _ => "" });
        bool local = envelope.Origin.ClientAddress.Length == 0;
        Attribute(records, "log_ident", local ? "" : envelope.QueueId);
        Attribute(records, "rewrite_context", local ? "local" : "remote");
        records.WriteUtf8(RecordType.Sender, envelope.Sender);
        Attribute(records, "encoding", (envelope.Encoding & MessageEncoding.EightBitMime) != 0 ? "8bit" : (envelope.Encoding & MessageEncoding.SevenBit) != 0 ? "7bit" : "");
        if (!local)
        {
            WriteOrigin(records, envelope.Origin);
        }

        for (int i = 0; i < envelope.Recipients.Count; i++)
        {
            WriteRecipient(records, envelope.Recipients[i], message.States[i].Status == RecipientStatus.Done);
        }
    }

    private static void WriteOrigin(RecordWriter records, MessageOrigin origin)
    {
        Attribute(records, "log_client_name", origin.ClientName);
        Attribute(records, "log_client_address", origin.ClientAddress);
        Attribute(records, "log_client_port", origin.ClientPort);
        Attribute(records, "log_message_origin", $"{origin.ClientName}[{origin.ClientAddress}]");
        Attribute(records, "log_helo_name", origin.Helo);
        Attribute(records, "log_protocol_name", origin.Protocol);
        Attribute(records, "client_name", origin.ClientName);
        Attribute(records, "reverse_client_name", origin.ClientName);
        Attribute(records, "client_address", origin.ClientAddress);
        Attribute(records, "client_port", origin.ClientPort);
        Attribute(records, "helo_name", origin.Helo);
        Attribute(records, "protocol_name", origin.Protocol);
        Attribute(records, "client_address_type", origin.ClientAddress.Contains(':') ? "10" : "2");
    }

    private static void WriteRecipient(RecordWriter records, EnvelopeRecipient recipient, bool done)
    {
        Attribute(records, "dsn_orig_rcpt", recipient.DsnOriginalRecipient);
        int notify = ((recipient.Notify & DsnNotify.Never) != 0 ? 1 : 0) | ((recipient.Notify & DsnNotify.Success) != 0 ? 2 : 0)
            | ((recipient.Notify & DsnNotify.Failure) != 0 ? 4 : 0) | ((recipient.Notify & DsnNotify.Delay) != 0 ? 8 : 0);
        Attribute(records, "notify_flags", notify == 0 ? "" : notify.ToString(CultureInfo.InvariantCulture));
        records.WriteUtf8(RecordType.OriginalRecipient, recipient.OriginalAddress);
        records.WriteUtf8(done ? RecordType.DoneRecipient : RecordType.Recipient, recipient.Address);
    }

    private static void Attribute(RecordWriter records, string name, string value)
    {
        if (value.Length > 0)
        {
            records.WriteUtf8(RecordType.Attribute, $"{name}={value}");
        }
    }

    private async IAsyncEnumerable<ReadOnlyMemory<byte>> ContentAsync(RecordWriter records, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[64 << 10];
        int kept = 0;
        int read;
        for (long offset = 0; (read = await message.Content.ReadAsync(offset, buffer.AsMemory(kept), cancellationToken)) > 0; offset += read)
        {
            _bytes.SetLength(0);
            int used = WriteLines(records, buffer.AsSpan(0, kept + read));
            kept = kept + read - used;
            buffer.AsSpan(used, kept).CopyTo(buffer);
            records.Flush();
            yield return _bytes.ToArray();
        }

        if (kept > 0)
        {
            _bytes.SetLength(0);
            records.Write(RecordType.Continued, buffer.AsSpan(0, kept));
            records.Flush();
            yield return _bytes.ToArray();
        }
    }

    /// <summary>Writes the whole lines, and the parts of long ones, that are in <paramref name="bytes"/>; the rest waits.</summary>
    private static int WriteLines(RecordWriter records, ReadOnlySpan<byte> bytes)
    {
        int used = 0;
        while (used < bytes.Length)
        {
            ReadOnlySpan<byte> rest = bytes[used..];
            int end = rest.IndexOf("\r\n"u8);
            if (end >= 0 && end <= LineLimit)
            {
                records.Write(RecordType.Line, rest[..end]);
                used += end + 2;
            }
            else if (rest.Length > LineLimit + 1)
            {
                records.Write(RecordType.Continued, rest[..LineLimit]);
                used += LineLimit;
            }
            else
            {
                break;
            }
        }

        return used;
    }
}
