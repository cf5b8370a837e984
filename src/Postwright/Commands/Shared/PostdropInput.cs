using System.Globalization;
using System.Text;
using Postwright.Core.Records;

namespace Postwright.Commands.Shared;

/// <summary>What became of a caller's input.</summary>
internal enum PostdropOutcome
{
    /// <summary>All of it is in the file, or a write failed, which the file tells.</summary>
    Complete,

    /// <summary>It ended before its end record: the caller has changed its mind.</summary>
    Cancelled,

    /// <summary>It lacks a sender or a recipient.</summary>
    Incomplete,

    /// <summary>It is no message; the reason was said.</summary>
    Refused,
}

/// <summary>
/// Copies a caller's records to a maildrop file. Only the record types and attributes that a user may set pass, in the order
/// of a queue file; the time is ours. After a failed write the rest is read and dropped, so that the caller gets an answer.
/// </summary>
internal sealed class PostdropInput(Stream input, MaildropFile file, int lineLimit, uint uid, CommandMessages messages)
{
    /// <summary>So much of the caller's text may stand in a message.</summary>
    private const int TextInMessage = 200;

    private static readonly char[] BlankCharacters = [' ', '\t', '\r', '\n'];

    /// <summary>The types that each part may have, the one that ends it first.</summary>
    private static readonly byte[][] Parts = ["MFSRVA"u8.ToArray(), "XLN"u8.ToArray(), "ER"u8.ToArray()];

    /// <summary>Copies everything up to the end record.</summary>
    public PostdropOutcome Copy(DateTimeOffset now)
    {
        var reader = new RecordReader(input, lineLimit);
        var writer = new RecordWriter(file);
        bool sender = false;
        bool recipient = false;
        long microseconds = now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond;
        writer.WriteBytes(RecordType.Time, string.Create(CultureInfo.InvariantCulture, $"{now.ToUnixTimeSeconds()} {microseconds}"));
        int part = 0;
        while (part < Parts.Length)
        {
            switch (reader.Read())
            {
                case RecordReadStatus.EndOfStream:
                    return PostdropOutcome.Cancelled;
                case RecordReadStatus.Invalid:
                    messages.Fatal($"uid={uid}: malformed input");
                    return PostdropOutcome.Refused;
            }

            if (!Parts[part].Contains(reader.Type))
            {
                messages.Fatal($"uid={uid}: unexpected record type: {reader.Type}");
                return PostdropOutcome.Refused;
            }

            sender |= reader.Type == RecordType.Sender;
            recipient |= reader.Type == RecordType.Recipient;
            if (reader.Type != RecordType.Attribute)
            {
                writer.Write(reader.Type, reader.Data.Span);
            }
            else if (Allowed(reader.Data.Span) is { } attribute)
            {
                writer.WriteBytes(RecordType.Attribute, attribute);
            }

            part += reader.Type == Parts[part][0] ? 1 : 0;
        }

        writer.Flush();
        return file.WriteError != 0 || (sender && recipient) ? PostdropOutcome.Complete : PostdropOutcome.Incomplete;
    }

    /// <summary>The attribute without blanks around its parts, or null if users may not set it.</summary>
    private string? Allowed(ReadOnlySpan<byte> record)
    {
        string text = Encoding.Latin1.GetString(record);
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0 || text.AsSpan(0, equals).Trim(BlankCharacters).IsEmpty)
        {
            string why = equals < 0 ? "missing '=' after attribute name" : "missing attribute name";
            messages.Warning($"uid={uid}: ignoring malformed record: {why}: {Short(text)}");
            return null;
        }

        string name = text[..equals].Trim(BlankCharacters);
        string value = text[(equals + 1)..].Trim(BlankCharacters);
        bool allowed = name switch
        {
            "encoding" => value is "7bit" or "8bit" or "",
            "rewrite_context" => value is "local" or "remote",
            "envelope_id" or "notify_flags" or "ret_flags" or "dsn_orig_rcpt" or "trace_flags" => true,
            _ => false,
        };
        if (!allowed)
        {
            messages.Warning($"uid={uid}: ignoring attribute record: {Short(name)}={Short(value)}");
        }

        return allowed ? $"{name}={value}" : null;
    }

    private static string Short(string text) => text.Length > TextInMessage ? text[..TextInMessage] : text;
}
