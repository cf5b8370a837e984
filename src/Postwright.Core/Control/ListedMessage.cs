using System.Globalization;

namespace Postwright.Core.Control;

/// <summary>A recipient in a queue listing.</summary>
/// <param name="Address">Where it goes.</param>
/// <param name="OriginalAddress">What it was before rewriting.</param>
/// <param name="DelayReason">Why it waits; empty before the first attempt.</param>
public readonly record struct ListedMessageRecipient(string Address, string OriginalAddress, string DelayReason);

/// <summary>A message in a queue listing, as postqueue shows it. Addresses are in internal form.</summary>
/// <param name="QueueName">Postfix's queue: maildrop, active, incoming, deferred, hold.</param>
/// <param name="QueueId">Queue ID.</param>
/// <param name="Arrival">Seconds since 1970.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ForceExpire">Expires at its next attempt.</param>
/// <param name="Sender">Empty for the null sender.</param>
/// <param name="Recipients">Those that need another attempt.</param>
public sealed record ListedMessage(
    string QueueName, string QueueId, long Arrival, long Size, bool ForceExpire, string Sender, IReadOnlyList<ListedMessageRecipient> Recipients)
{
    /// <summary>The fields of its record, without the recipients.</summary>
    public IEnumerable<string> ToFields() =>
    [
        QueueName, QueueId, Arrival.ToString(CultureInfo.InvariantCulture), Size.ToString(CultureInfo.InvariantCulture), ForceExpire ? "1" : "0", Sender,
    ];

    /// <summary>Reads fields; null if they are none of a message.</summary>
    public static ListedMessage? FromFields(IReadOnlyList<string> fields, IReadOnlyList<ListedMessageRecipient> recipients) =>
        fields.Count == 6
        && long.TryParse(fields[2], NumberStyles.Integer, CultureInfo.InvariantCulture, out long arrival)
        && long.TryParse(fields[3], NumberStyles.Integer, CultureInfo.InvariantCulture, out long size)
            ? new ListedMessage(fields[0], fields[1], arrival, size, fields[4] == "1", fields[5], recipients)
            : null;
}
