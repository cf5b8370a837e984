using System.Text;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Route;

namespace Postwright.Server.Cleanup;

/// <summary>
/// Completes the addresses in headers of local mail (local_header_rewrite_clients): <c>To: root</c> becomes
/// <c>To: root@$myorigin</c>. Only the addresses that change are touched; phrases, comments and folding stay as they came.
/// </summary>
internal sealed class HeaderAddresses(IAddressRewriter rewriter)
{
    // header_address_token_limit bounds Postfix's work on one header; here it is the header's size, which is bounded already.
    private const ulong Kinds =
        (1UL << (int)HeaderKind.From) | (1UL << (int)HeaderKind.Sender) | (1UL << (int)HeaderKind.ReplyTo) | (1UL << (int)HeaderKind.To)
        | (1UL << (int)HeaderKind.Cc) | (1UL << (int)HeaderKind.Bcc) | (1UL << (int)HeaderKind.ResentFrom)
        | (1UL << (int)HeaderKind.ResentSender) | (1UL << (int)HeaderKind.ResentTo) | (1UL << (int)HeaderKind.ResentCc)
        | (1UL << (int)HeaderKind.ResentBcc) | (1UL << (int)HeaderKind.ResentReplyTo);

    /// <summary>Gives the header anew if an address in it changes.</summary>
    /// <param name="kind">Which header.</param>
    /// <param name="header">Its bytes, name and folding included.</param>
    /// <param name="completed">The new bytes.</param>
    public bool TryComplete(HeaderKind kind, ReadOnlySpan<byte> header, out byte[] completed)
    {
        completed = [];
        int colon = header.IndexOf((byte)':');
        if ((Kinds & (1UL << (int)kind)) == 0 || colon < 0)
        {
            return false;
        }

        // UTF-8, or byte for byte: what is not an address must come out as it went in.
        bool utf8 = System.Text.Unicode.Utf8.IsValid(header);
        string value = SmtpPath.Decode(header[(colon + 1)..]);
        StringBuilder? changed = null;
        int copied = 0;
        foreach (ParsedAddress found in AddressParser.Parse(value).Addresses)
        {
            string rewritten = found.Address.Length == 0 ? "" : rewriter.Rewrite(found.Address);
            if (rewritten != found.Address)
            {
                changed ??= new StringBuilder(value.Length + 32);
                changed.Append(value, copied, found.Start - copied).Append(AddressText.ToExternal(rewritten));
                copied = found.Start + found.Length;
            }
        }

        if (changed is null)
        {
            return false;
        }

        changed.Append(value, copied, value.Length - copied);
        byte[] tail = (utf8 ? Encoding.UTF8 : Encoding.Latin1).GetBytes(changed.ToString());
        completed = [.. header[..(colon + 1)], .. tail];
        return true;
    }
}
