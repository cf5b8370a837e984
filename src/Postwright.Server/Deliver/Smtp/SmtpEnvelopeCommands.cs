using System.Buffers;
using System.Globalization;
using System.Text;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Smtp;


/// <summary>Writes MAIL FROM and RCPT TO with the parameters that the server offers to take (RFC 1870, 3461, 6152, 6531).</summary>
internal static class SmtpEnvelopeCommands
{
    public static void WriteMail(IBufferWriter<byte> output, Envelope envelope, ServerFeatures features, long size)
    {
        Write(output, "MAIL FROM:<");
        Write(output, AddressText.ToExternal(envelope.Sender));
        Write(output, ">");
        if (features.HasFlag(ServerFeatures.Size))
        {
            Write(output, string.Create(CultureInfo.InvariantCulture, $" SIZE={size}"));
        }

        if (features.HasFlag(ServerFeatures.EightBitMime))
        {
            Write(output, envelope.Encoding.HasFlag(MessageEncoding.EightBitMime) ? " BODY=8BITMIME"
                : envelope.Encoding.HasFlag(MessageEncoding.SevenBit) ? " BODY=7BIT" : "");
        }

        if (features.HasFlag(ServerFeatures.SmtpUtf8) && envelope.Encoding.HasFlag(MessageEncoding.SmtpUtf8))
        {
            Write(output, " SMTPUTF8");
        }

        if (features.HasFlag(ServerFeatures.Dsn))
        {
            Write(output, envelope.Return switch { DsnReturn.Full => " RET=FULL", DsnReturn.Headers => " RET=HDRS", _ => "" });
            if (envelope.EnvelopeId.Length > 0)
            {
                Write(output, " ENVID=" + Xtext.Encode(envelope.EnvelopeId));
            }
        }

        Write(output, "\r\n");
    }

    public static void WriteRcpt(IBufferWriter<byte> output, DeliveryRecipient recipient, ServerFeatures features)
    {
        Write(output, "RCPT TO:<");
        Write(output, AddressText.ToExternal(recipient.Address));
        Write(output, ">");
        if (features.HasFlag(ServerFeatures.Dsn))
        {
            if (recipient.Recipient.Notify != DsnNotify.Unspecified)
            {
                Write(output, " NOTIFY=" + NotifyWords(recipient.Recipient.Notify));
            }

            WriteOriginalRecipient(output, recipient.Recipient);
        }

        Write(output, "\r\n");
    }

    private static string NotifyWords(DsnNotify notify)
    {
        List<string> words = [];
        if (notify.HasFlag(DsnNotify.Never))
        {
            words.Add("NEVER");
        }

        if (notify.HasFlag(DsnNotify.Success))
        {
            words.Add("SUCCESS");
        }

        if (notify.HasFlag(DsnNotify.Failure))
        {
            words.Add("FAILURE");
        }

        if (notify.HasFlag(DsnNotify.Delay))
        {
            words.Add("DELAY");
        }

        return string.Join(',', words);
    }

    /// <summary>The client's ORCPT is passed on; without one, the address as we received it becomes one (RFC 3461, 5.2.1).</summary>
    private static void WriteOriginalRecipient(IBufferWriter<byte> output, EnvelopeRecipient recipient)
    {
        string original = recipient.DsnOriginalRecipient;
        int at = original.IndexOf(';', StringComparison.Ordinal);
        if (at > 0)
        {
            Write(output, $" ORCPT={original[..at]};{Xtext.Encode(original[(at + 1)..])}");
        }
        else if (recipient.OriginalAddress.Length > 0 && Ascii.IsValid(recipient.OriginalAddress))
        {
            Write(output, " ORCPT=rfc822;" + Xtext.Encode(AddressText.ToExternal(recipient.OriginalAddress)));
        }
    }

    private static void Write(IBufferWriter<byte> output, string text)
    {
        if (text.Length > 0)
        {
            Encoding.UTF8.GetBytes(text, output);
        }
    }
}
