using System.Globalization;
using System.Text;
using Postwright.Protocol.Mail;

namespace Postwright.Core.Control;

/// <summary>
/// Queue listings in postqueue's two forms: the table of <c>-p</c> (in the column widths of short or long queue IDs) and the JSON
/// lines of <c>-j</c>. Every control character of an address or reason is shown as <c>?</c>.
/// </summary>
/// <param name="output">Where the listing goes, lines ended by LF.</param>
/// <param name="longIds">enable_long_queue_ids: which widths.</param>
/// <param name="zone">Of the arrival times.</param>
public sealed class QueueListingText(TextWriter output, bool longIds, TimeZoneInfo zone)
{
    /// <summary>Reasons end, with their parentheses, at this column.</summary>
    private const int ReasonEnd = 76;

    private long _bytes;
    private long _messages;

    /// <summary>Writes a message of the table.</summary>
    public void Write(ListedMessage message)
    {
        output.Write(_messages > 0 ? "\n" : longIds
            ? "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
            : "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
        _messages++;
        _bytes += message.Size;
        string id = message.QueueId + (message.QueueName switch { "active" => "*", "hold" => "!", _ => "" }) + (message.ForceExpire ? "#" : "");
        DateTimeOffset arrival = TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeSeconds(message.Arrival), zone);
        string time = string.Create(CultureInfo.InvariantCulture, $"{arrival:ddd MMM} {arrival.Day,2} {arrival:HH:mm:ss}");
        WriteColumns(id, message.Size.ToString(CultureInfo.InvariantCulture), longIds ? time : time + " ", Sender(message));
        string reason = "";
        foreach (ListedMessageRecipient recipient in message.Recipients)
        {
            if (recipient.DelayReason != reason)
            {
                reason = recipient.DelayReason;
                string shown = Printable(reason.Length > 0 ? reason : "reason unavailable");
                output.Write($"{new string(' ', Math.Max(0, ReasonEnd - shown.Length))}({shown})\n");
            }

            WriteColumns("", "", "", Address(recipient.Address));
        }
    }

    /// <summary>Ends the table.</summary>
    public void WriteEnd() => output.Write(_messages == 0
        ? "Mail queue is empty\n"
        : string.Create(CultureInfo.InvariantCulture, $"\n-- {_bytes / 1024} Kbytes in {_messages} Request{(_messages == 1 ? "" : "s")}.\n"));

    /// <summary>Writes a message as a JSON object on a line of its own.</summary>
    public void WriteJson(ListedMessage message)
    {
        var line = new StringBuilder("{\"queue_name\": ");
        AppendJson(line, message.QueueName).Append(", \"queue_id\": ");
        AppendJson(line, message.QueueId);
        line.Append(CultureInfo.InvariantCulture, $", \"arrival_time\": {message.Arrival}, \"message_size\": {message.Size}");
        line.Append(", \"forced_expire\": ").Append(message.ForceExpire ? "true" : "false").Append(", \"sender\": ");
        AppendJson(line, Sender(message)).Append(", \"recipients\": [");
        for (int i = 0; i < message.Recipients.Count; i++)
        {
            ListedMessageRecipient recipient = message.Recipients[i];
            line.Append(i > 0 ? ", {" : "{");
            if (recipient.OriginalAddress.Length > 0)
            {
                AppendJson(line.Append("\"orig_address\": "), Address(recipient.OriginalAddress)).Append(", ");
            }

            AppendJson(line.Append("\"address\": "), Address(recipient.Address));
            if (recipient.DelayReason.Length > 0)
            {
                AppendJson(line.Append(", \"delay_reason\": "), Printable(recipient.DelayReason));
            }

            line.Append('}');
        }

        output.Write(line.Append("]}\n"));
    }

    private static string Sender(ListedMessage message) => message.Sender.Length == 0 ? "MAILER-DAEMON" : Address(message.Sender);

    private static string Address(string address) => Printable(AddressText.ToExternal(address));

    private static string Printable(string text) => string.Create(text.Length, text, static (span, source) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = char.IsControl(source[i]) ? '?' : source[i];
        }
    });

    private static StringBuilder AppendJson(StringBuilder line, string text)
    {
        line.Append('"');
        foreach (char c in text)
        {
            line.Append(c is '"' or '\\' ? "\\" : "").Append(c);
        }

        return line.Append('"');
    }

    private void WriteColumns(string id, string size, string time, string address) =>
        output.Write(longIds ? $"{id,-17} {size,8} {time,19} {address}\n" : $"{id,-11} {size,7} {time,20} {address}\n");
}
