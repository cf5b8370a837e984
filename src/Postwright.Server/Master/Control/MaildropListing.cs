using System.Globalization;
using System.Text;
using Postwright.Core.Control;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Server.Receive.Pickup;

namespace Postwright.Server.Master.Control;

/// <summary>The maildrop directory as showq lists it: what is finished there and waits for pickup. Unreadable files are passed over.</summary>
/// <param name="directory">The maildrop directory.</param>
public sealed class MaildropListing(IMaildrop directory)
{
    /// <summary>The messages now.</summary>
    public async IAsyncEnumerable<ListedMessage> ListAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!directory.Exists)
        {
            yield break;
        }

        foreach (MaildropEntry entry in directory.Ready())
        {
            if (await ReadAsync(entry, cancellationToken) is { } message)
            {
                yield return message;
            }
        }
    }

    /// <summary>The names of all messages now.</summary>
    public IReadOnlyList<string> Names() => directory.Exists ? [.. directory.Ready().Select(static entry => entry.Name)] : [];

    /// <summary>postsuper -d: removes one. False if there is none of that name.</summary>
    public bool Remove(string name)
    {
        foreach (MaildropEntry entry in QueueFileName.IsValid(name) && directory.Exists ? directory.Ready() : [])
        {
            if (entry.Name == name)
            {
                return directory.Remove(entry);
            }
        }

        return false;
    }

    private async ValueTask<ListedMessage?> ReadAsync(MaildropEntry entry, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream? file = directory.Open(entry);
            if (file is null)
            {
                return null;
            }

            long arrival = entry.Status.ModifiedSeconds;
            string sender = "";
            var recipients = new List<ListedMessageRecipient>();
            var reader = new RecordReader(file, 0);
            bool inContent = false;
            while (await reader.ReadAsync(cancellationToken) == RecordReadStatus.Record && reader.Type != RecordType.End)
            {
                inContent = reader.Type == RecordType.Message || (inContent && reader.Type != RecordType.Extracted);
                switch (reader.Type)
                {
                    case RecordType.Time when !inContent:
                        arrival = Seconds(reader.Data.Span) ?? arrival;
                        break;
                    case RecordType.Sender when !inContent:
                        sender = MaildropMessage.Decode(reader.Data.Span);
                        break;
                    case RecordType.Recipient when !inContent:
                        recipients.Add(new ListedMessageRecipient(MaildropMessage.Decode(reader.Data.Span), "", ""));
                        break;
                }
            }

            return new ListedMessage("maildrop", entry.Name, arrival, entry.Status.Size, false, sender, recipients);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long? Seconds(ReadOnlySpan<byte> text)
    {
        string first = Encoding.Latin1.GetString(text).Split(' ', 2)[0];
        return long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds) ? seconds : null;
    }
}
