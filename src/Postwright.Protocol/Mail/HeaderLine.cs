using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>Headers that the mail system itself looks at.</summary>
public enum HeaderKind : byte
{
    /// <summary>Of no interest.</summary>
    Other,

    /// <summary>Received: (RFC 5321, 4.4).</summary>
    Received,

    /// <summary>Date:.</summary>
    Date,

    /// <summary>From:.</summary>
    From,

    /// <summary>Sender:.</summary>
    Sender,

    /// <summary>Reply-To:.</summary>
    ReplyTo,

    /// <summary>To:.</summary>
    To,

    /// <summary>Cc:.</summary>
    Cc,

    /// <summary>Bcc:.</summary>
    Bcc,

    /// <summary>Message-ID:.</summary>
    MessageId,

    /// <summary>Return-Path:.</summary>
    ReturnPath,

    /// <summary>Resent-Date:.</summary>
    ResentDate,

    /// <summary>Resent-From:.</summary>
    ResentFrom,

    /// <summary>Resent-Sender:.</summary>
    ResentSender,

    /// <summary>Resent-To:.</summary>
    ResentTo,

    /// <summary>Resent-Cc:.</summary>
    ResentCc,

    /// <summary>Resent-Bcc:.</summary>
    ResentBcc,

    /// <summary>Resent-Message-ID:.</summary>
    ResentMessageId,

    /// <summary>Resent-Reply-To:.</summary>
    ResentReplyTo,
}

/// <summary>Recognises header lines (RFC 5322, 2.2) and the headers that matter, on bytes.</summary>
public static class HeaderLine
{
    /// <summary>
    /// The length of the name if <paramref name="line"/> begins a header, else 0: printable ASCII without blanks, then
    /// optional blanks, then a colon (at <paramref name="colon"/>).
    /// </summary>
    public static int NameLength(ReadOnlySpan<byte> line, out int colon)
    {
        colon = line.IndexOf((byte)':');
        if (colon <= 0)
        {
            return 0;
        }

        int end = colon;
        while (end > 0 && line[end - 1] is (byte)' ' or (byte)'\t')
        {
            end--;
        }

        return end > 0 && line[..end].IndexOfAnyExceptInRange((byte)33, (byte)126) < 0 ? end : 0;
    }

    /// <summary>True for a continuation line.</summary>
    public static bool IsContinuation(ReadOnlySpan<byte> line) => line.Length > 0 && line[0] is (byte)' ' or (byte)'\t';

    /// <summary>Which header a name is; case does not count.</summary>
    public static HeaderKind Identify(ReadOnlySpan<byte> name)
    {
        if (name.Length > 7 && Is(name[..7], "resent-"u8))
        {
            return Identify(name[7..]) switch
            {
                HeaderKind.Date => HeaderKind.ResentDate,
                HeaderKind.From => HeaderKind.ResentFrom,
                HeaderKind.Sender => HeaderKind.ResentSender,
                HeaderKind.To => HeaderKind.ResentTo,
                HeaderKind.Cc => HeaderKind.ResentCc,
                HeaderKind.Bcc => HeaderKind.ResentBcc,
                HeaderKind.MessageId => HeaderKind.ResentMessageId,
                HeaderKind.ReplyTo => HeaderKind.ResentReplyTo,
                _ => HeaderKind.Other,
            };
        }

        return name.Length switch
        {
            2 when Is(name, "to"u8) => HeaderKind.To,
            2 when Is(name, "cc"u8) => HeaderKind.Cc,
            3 when Is(name, "bcc"u8) => HeaderKind.Bcc,
            4 when Is(name, "date"u8) => HeaderKind.Date,
            4 when Is(name, "from"u8) => HeaderKind.From,
            6 when Is(name, "sender"u8) => HeaderKind.Sender,
            8 when Is(name, "received"u8) => HeaderKind.Received,
            8 when Is(name, "reply-to"u8) => HeaderKind.ReplyTo,
            10 when Is(name, "message-id"u8) => HeaderKind.MessageId,
            11 when Is(name, "return-path"u8) => HeaderKind.ReturnPath,
            _ => HeaderKind.Other,
        };
    }

    private static bool Is(ReadOnlySpan<byte> name, ReadOnlySpan<byte> lower) => Ascii.EqualsIgnoreCase(name, lower);
}
