using System.Text;
using Postwright.Server.Queue;

namespace Postwright.Bench;

/// <summary>The messages that are measured: what an ordinary client sends.</summary>
internal static class Samples
{
    public const string Headers =
        "Received: from client.example.com (client.example.com [192.0.2.1])\r\n\tby relay.example.org (Postfix) with ESMTPS id 4XyZ12abcD\r\n"
        + "\tfor <user@example.net>; Mon, 2 Mar 2026 10:11:12 +0000 (UTC)\r\n"
        + "From: \"A. Sender\" <sender@example.com>\r\nTo: User <user@example.net>, other@example.net\r\nSubject: an ordinary subject line\r\n"
        + "Date: Mon, 2 Mar 2026 10:11:10 +0000\r\nMessage-ID: <20260302101110.1234@client.example.com>\r\n"
        + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";

    /// <summary>Headers and body lines of 76, as sent in DATA: the end is in it, and every tenth line begins with a stuffed dot.</summary>
    public static byte[] Data(int bytes)
    {
        StringBuilder text = new(Headers);
        for (int line = 0; text.Length < bytes; line++)
        {
            text.Append(line % 10 == 9 ? ".." : "xx").Append('x', 74).Append("\r\n");
        }

        return Encoding.ASCII.GetBytes(text.Append(".\r\n").ToString());
    }

    public static Envelope Envelope(string queueId) => new()
    {
        QueueId = queueId,
        Arrival = new DateTimeOffset(2026, 3, 2, 10, 11, 12, TimeSpan.Zero),
        Sender = "sender@example.com",
        Recipients = [new EnvelopeRecipient("user@example.net", "user@example.net")],
        Origin = new MessageOrigin("client.example.com", "192.0.2.1", "4242", "client.example.com", "ESMTP"),
        Size = 1000,
    };
}
