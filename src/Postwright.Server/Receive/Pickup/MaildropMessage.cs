using System.Globalization;
using System.Text.Unicode;
using Postwright.Core.Records;
using Postwright.Server.Queue;

namespace Postwright.Server.Receive.Pickup;

/// <summary>
/// What the envelope records of a maildrop file say, from its first part and from the part after the content (<c>sendmail -t</c>).
/// Reading it walks the whole file, so that a file that is cut short or malformed is known before a byte goes to cleanup.
/// </summary>
internal sealed class MaildropMessage
{
    /// <summary>sendmail -v: a report of the delivery is wanted.</summary>
    private const int TraceRecord = 1024;

    /// <summary>sendmail -bv: a report and no delivery.</summary>
    private const int TraceVerify = 512;

    private string _pendingOriginal = "";
    private string _pendingDsnOriginal = "";
    private DsnNotify _pendingNotify;
    private bool _traced;

    /// <summary>Envelope sender; null if the file has none.</summary>
    public string? Sender { get; private set; }

    /// <summary>When postdrop took the message; null if the file does not say.</summary>
    public DateTimeOffset? Arrival { get; private set; }

    /// <summary>-F, or the name in the password file.</summary>
    public string FullName { get; private set; } = "";

    /// <summary>-V.</summary>
    public string EnvelopeId { get; private set; } = "";

    /// <summary>-R of sendmail, RET of a session.</summary>
    public DsnReturn Return { get; private set; }

    /// <summary>-B.</summary>
    public MessageEncoding Encoding { get; private set; }

    /// <summary>-G: the message comes from elsewhere, so its headers are not completed.</summary>
    public bool IsRemote { get; private set; }

    /// <summary>A probe, which must not be delivered.</summary>
    public bool IsProbe { get; private set; }

    /// <summary>sendmail -XV of another implementation: each recipient is to see a sender of its own.</summary>
    public bool WantsVerp { get; private set; }

    /// <summary>The recipients in order.</summary>
    public List<EnvelopeRecipient> Recipients { get; } = [];

    /// <summary>Reads a file from its start to its end record.</summary>
    /// <returns>The message, or null and the type of the record that does not belong there (-1: the file ends too early, -2: no record).</returns>
    public static async ValueTask<(MaildropMessage? Message, int BadType)> ReadAsync(RecordReader reader, CancellationToken cancellationToken)
    {
        var message = new MaildropMessage();
        ReadOnlyMemory<byte>[] parts = [RecordType.Envelope.ToArray(), RecordType.Content.ToArray(), RecordType.AfterContent.ToArray()];
        foreach (ReadOnlyMemory<byte> part in parts)
        {
            do
            {
                RecordReadStatus status = await reader.ReadAsync(cancellationToken);
                if (status != RecordReadStatus.Record)
                {
                    return (null, status == RecordReadStatus.EndOfStream ? -1 : -2);
                }

                if (!part.Span.Contains(reader.Type))
                {
                    return (null, reader.Type);
                }

                if (part.Span[0] != RecordType.Content[0])
                {
                    message.Take(reader.Type, reader.Data.Span);
                }
            }
            while (reader.Type != part.Span[0]);
        }

        return (message, 0);
    }

    /// <summary>UTF-8 where it is, else each byte a character: no address is lost to its encoding.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes) =>
        Utf8.IsValid(bytes) ? System.Text.Encoding.UTF8.GetString(bytes) : System.Text.Encoding.Latin1.GetString(bytes);

    /// <summary>The recipients as the queue takes them: with sendmail -v, each outcome is reported.</summary>
    public IEnumerable<EnvelopeRecipient> QueuedRecipients() => _traced
        ? Recipients.Select(static r => r.Notify == DsnNotify.Unspecified ? r with { Notify = DsnNotify.Success | DsnNotify.Failure | DsnNotify.Delay } : r)
        : Recipients;

    private void Take(byte type, ReadOnlySpan<byte> data)
    {
        switch (type)
        {
            case RecordType.Time:
                Arrival ??= ParseTime(Decode(data));
                break;
            case RecordType.Sender:
                Sender ??= Decode(data);
                break;
            case RecordType.Verp:
                WantsVerp = true;
                break;
            case RecordType.FullName:
                FullName = Decode(data);
                break;
            case RecordType.Recipient:
                AddRecipient(Decode(data));
                break;
            case RecordType.OriginalRecipient:
                _pendingOriginal = Decode(data);
                break;
            case RecordType.DsnOriginalRecipient:
                _pendingDsnOriginal = Decode(data);
                break;
            case RecordType.DsnNotify:
                _pendingNotify = Notify(Decode(data));
                break;
            case RecordType.DsnEnvelopeId:
                EnvelopeId = Decode(data);
                break;
            case RecordType.DsnReturn:
                SetReturn(Decode(data));
                break;
            case RecordType.Attribute:
                TakeAttribute(Decode(data));
                break;
        }
    }

    /// <summary>Seconds, and perhaps microseconds; null for what is no time of this age.</summary>
    private static DateTimeOffset? ParseTime(string text)
    {
        string[] parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0 || !uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint seconds))
        {
            return null;
        }

        _ = uint.TryParse(parts.Length > 1 ? parts[1] : "0", NumberStyles.None, CultureInfo.InvariantCulture, out uint microseconds);
        return DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(microseconds % 1_000_000 * TimeSpan.TicksPerMicrosecond);
    }

    private void AddRecipient(string address)
    {
        Recipients.Add(new EnvelopeRecipient(address, _pendingOriginal.Length > 0 ? _pendingOriginal : address, _pendingNotify, _pendingDsnOriginal));
        (_pendingOriginal, _pendingDsnOriginal, _pendingNotify) = ("", "", DsnNotify.Unspecified);
    }

    private void TakeAttribute(string attribute)
    {
        int equals = attribute.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            return;
        }

        string value = attribute[(equals + 1)..];
        switch (attribute[..equals])
        {
            case "rewrite_context":
                IsRemote = value == "remote";
                break;
            case "encoding":
                Encoding |= value switch { "7bit" => MessageEncoding.SevenBit, "8bit" => MessageEncoding.EightBitMime, _ => MessageEncoding.None };
                break;
            case "envelope_id":
                EnvelopeId = value;
                break;
            case "notify_flags":
                _pendingNotify = Notify(value);
                break;
            case "dsn_orig_rcpt":
                _pendingDsnOriginal = value;
                break;
            case "ret_flags":
                SetReturn(value);
                break;
            case "trace_flags" when int.TryParse(value, CultureInfo.InvariantCulture, out int flags):
                IsProbe |= (flags & TraceVerify) != 0;
                _traced |= (flags & TraceRecord) != 0;
                break;
        }
    }

    /// <summary>Postfix's bits: never 1, success 2, failure 4, delay 8.</summary>
    private static DsnNotify Notify(string text)
    {
        if (!int.TryParse(text, CultureInfo.InvariantCulture, out int bits))
        {
            return DsnNotify.Unspecified;
        }

        return ((bits & 1) != 0 ? DsnNotify.Never : 0) | ((bits & 2) != 0 ? DsnNotify.Success : 0)
            | ((bits & 4) != 0 ? DsnNotify.Failure : 0) | ((bits & 8) != 0 ? DsnNotify.Delay : 0);
    }

    private void SetReturn(string text) => Return = text switch { "1" => DsnReturn.Full, "2" => DsnReturn.Headers, _ => DsnReturn.Unspecified };
}
