using System.Text;

namespace Postwright.Core.Control;

/// <summary>
/// What passes over the control socket. Both sides send records (the frame of a queue file's records): a type, and fields of UTF-8
/// text, each ended by a NUL. A client sends requests one after the other; each is answered by any number of records and one
/// <see cref="Answer"/>, whose first field is <see cref="Done"/> or the reason why not.
/// </summary>
public static class ControlProtocol
{
    /// <summary>Below queue_directory.</summary>
    public const string SocketName = "public/control";

    /// <summary>The longest record either side accepts: a batch of 1,000 queue IDs, or a listed message with 100 recipients.</summary>
    public const int RecordLimit = 256 << 10;

    /// <summary>A listed message's recipients come in groups of at most so many.</summary>
    public const int RecipientsInRecord = 100;

    /// <summary>Queue IDs in one change request.</summary>
    public const int QueueIdsInRecord = 500;

    /// <summary>The first field of an answer when all went well.</summary>
    public const string Done = "";

    /// <summary>List the queue: answered by <see cref="Message"/> and <see cref="Recipients"/> records.</summary>
    public const byte List = (byte)'L';

    /// <summary>Try everything deferred now.</summary>
    public const byte Flush = (byte)'F';

    /// <summary>Try one message now; field: queue ID.</summary>
    public const byte FlushMessage = (byte)'I';

    /// <summary>Try what waits for a domain now; field: the domain.</summary>
    public const byte FlushSite = (byte)'S';

    /// <summary>Look into maildrop now.</summary>
    public const byte WakePickup = (byte)'P';

    /// <summary>
    /// postsuper; fields: operation letter (d h H r e f), queue names joined with commas, queue IDs or <c>ALL</c>. Answered by a
    /// <see cref="Changed"/> for each message; the answer's second field is their number.
    /// </summary>
    public const byte Change = (byte)'C';

    /// <summary>Read a message; field: queue ID. Answered by <see cref="Found"/> and <see cref="Bytes"/> of its queue file image.</summary>
    public const byte Get = (byte)'G';

    /// <summary>Is the system up? The answer's second field is the process.</summary>
    public const byte Status = (byte)'T';

    /// <summary>A listed message; fields as in <see cref="ListedMessage"/>.</summary>
    public const byte Message = (byte)'M';

    /// <summary>Recipients of the message before; three fields each: address, original address, delay reason.</summary>
    public const byte Recipients = (byte)'R';

    /// <summary>A changed message; field: postsuper's line, such as <c>ID: removed</c>.</summary>
    public const byte Changed = (byte)'X';

    /// <summary>Where a message is; field: queue name.</summary>
    public const byte Found = (byte)'Q';

    /// <summary>The next bytes, unstructured.</summary>
    public const byte Bytes = (byte)'B';

    /// <summary>The end of an answer.</summary>
    public const byte Answer = (byte)'A';

    /// <summary>Fields as a record's data. A NUL inside a field would end it, so it becomes a blank.</summary>
    public static byte[] Encode(IEnumerable<string> fields)
    {
        var text = new StringBuilder();
        foreach (string field in fields)
        {
            text.Append(field.Replace('\0', ' ')).Append('\0');
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>A record's data as fields; what follows the last NUL is none.</summary>
    public static IReadOnlyList<string> Decode(ReadOnlySpan<byte> data)
    {
        var fields = new List<string>();
        while (data.IndexOf((byte)0) is var end and >= 0)
        {
            fields.Add(Encoding.UTF8.GetString(data[..end]));
            data = data[(end + 1)..];
        }

        return fields;
    }
}
