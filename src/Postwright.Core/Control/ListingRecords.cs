using Postwright.Core.Records;

namespace Postwright.Core.Control;

/// <summary>Listed messages as records and back: the control socket's list, and showq's output while the system is down.</summary>
public static class ListingRecords
{
    /// <summary>Recipients of one message beyond this are not shown; no queue holds such a message.</summary>
    private const int RecipientLimit = 1_000_000;

    /// <summary>The records of a message: type and data.</summary>
    public static IEnumerable<(byte Type, byte[] Data)> Encode(ListedMessage message)
    {
        yield return (ControlProtocol.Message, ControlProtocol.Encode(message.ToFields()));
        foreach (ListedMessageRecipient[] group in message.Recipients.Chunk(ControlProtocol.RecipientsInRecord))
        {
            yield return (ControlProtocol.Recipients, ControlProtocol.Encode(group.SelectMany(static r => (string[])[r.Address, r.OriginalAddress, r.DelayReason])));
        }
    }

    /// <summary>Reads messages up to the answer.</summary>
    /// <param name="reader">Where from.</param>
    /// <returns>The messages; the last element is null if the records ended early, were no listing, or the answer is a refusal.</returns>
    public static IEnumerable<ListedMessage?> Read(RecordReader reader)
    {
        IReadOnlyList<string>? message = null;
        var recipients = new List<ListedMessageRecipient>();
        while (reader.Read() == RecordReadStatus.Record && reader.Type is ControlProtocol.Message or ControlProtocol.Recipients or ControlProtocol.Answer)
        {
            IReadOnlyList<string> fields = ControlProtocol.Decode(reader.Data.Span);
            if (reader.Type == ControlProtocol.Recipients)
            {
                for (int i = 0; i + 2 < fields.Count && recipients.Count < RecipientLimit; i += 3)
                {
                    recipients.Add(new ListedMessageRecipient(fields[i], fields[i + 1], fields[i + 2]));
                }

                continue;
            }

            if (message is not null)
            {
                yield return ListedMessage.FromFields(message, recipients);
                recipients = [];
            }

            message = fields;
            if (reader.Type == ControlProtocol.Answer)
            {
                if (fields is not [ControlProtocol.Done, ..])
                {
                    yield return null;
                }

                yield break;
            }
        }

        yield return null;
    }
}
