using System.Globalization;
using System.Text;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.World;

/// <summary>
/// The content of messages: made so that whoever gets one can tell which it is, who queued it last, and whether a byte is
/// missing.
/// </summary>
internal static class Letter
{
    /// <summary>The body of a message, the same at each call: lines of many lengths, some beginning with dots.</summary>
    public static byte[] Body(ulong seed, MessagePlan message)
    {
        Rng chance = Rng.Of(seed, 1000 + (ulong)message.Number);
        StringBuilder text = new();
        while (text.Length < message.Size)
        {
            if (chance.Percent(10))
            {
                text.Append('.', chance.Between(1, 3));
            }

            text.Append((char)('a' + (text.Length % 26)), chance.Between(0, 70)).Append(CultureInfo.InvariantCulture, $" line {text.Length}\r\n");
        }

        return Encoding.ASCII.GetBytes(text.ToString());
    }

    /// <summary>The whole content as a client sends it, dots not doubled.</summary>
    public static byte[] Content(ulong seed, MessagePlan message, int attempt)
    {
        byte[] head = Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"Message-ID: <sim-{message.Number}-{attempt}@client.example>\r\nX-Sim: {message.Number}\r\nSubject: m{message.Number}\r\n\r\n"));
        return [.. head, .. Body(seed, message)];
    }

    /// <summary>What a recipient finds in a message.</summary>
    /// <param name="QueueId">Of the newest Received: header.</param>
    /// <param name="Number">The message's number; 0 for a notice.</param>
    /// <param name="Body">Behind the header.</param>
    /// <param name="Cause">For a notice: the queue ID that it tells of.</param>
    /// <param name="Action">For a notice: failed, delayed, ....</param>
    /// <param name="FinalRecipients">For a notice: the recipients it tells of.</param>
    public readonly record struct Found(string QueueId, int Number, byte[] Body, string Cause, string Action, IReadOnlyList<string> FinalRecipients);

    /// <summary>Reads a message.</summary>
    public static Found Read(ReadOnlySpan<byte> content)
    {
        string text = Encoding.Latin1.GetString(content);
        int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        string head = end < 0 ? text : text[..(end + 2)];
        byte[] body = end < 0 ? [] : content[(end + 4)..].ToArray();
        int number = int.TryParse(Field(head, "\nX-Sim: "), NumberStyles.None, CultureInfo.InvariantCulture, out int found) ? found : 0;
        List<string> recipients = [];
        string cause = "";
        string action = "";
        if (number == 0)
        {
            cause = Field(text, "\nX-Postfix-Queue-ID: ");
            action = Field(text, "\nAction: ");
            for (int at = 0; (at = text.IndexOf("\nFinal-Recipient: rfc822; ", at, StringComparison.Ordinal)) >= 0; at++)
            {
                recipients.Add(Field(text[at..], "\nFinal-Recipient: rfc822; "));
            }
        }

        return new Found(QueueId(head), number, body, cause, action, recipients);
    }

    private static string QueueId(string head)
    {
        int received = head.StartsWith("Received:", StringComparison.Ordinal) ? 0 : head.IndexOf("\nReceived:", StringComparison.Ordinal);
        if (received < 0)
        {
            return "";
        }

        int id = head.IndexOf(" id ", received, StringComparison.Ordinal) is var blank and >= 0 ? blank : int.MaxValue;
        int tab = head.IndexOf("\tid ", received, StringComparison.Ordinal) is var other and >= 0 ? other : int.MaxValue;
        int start = Math.Min(id, tab);
        if (start == int.MaxValue)
        {
            return "";
        }

        start += 4;
        int stop = start;
        while (stop < head.Length && char.IsAsciiLetterOrDigit(head[stop]))
        {
            stop++;
        }

        return head[start..stop];
    }

    private static string Field(string text, string name)
    {
        int at = text.IndexOf(name, StringComparison.Ordinal);
        if (at < 0)
        {
            return "";
        }

        at += name.Length;
        int end = text.IndexOf('\r', at);
        return end < 0 ? text[at..] : text[at..end];
    }
}
