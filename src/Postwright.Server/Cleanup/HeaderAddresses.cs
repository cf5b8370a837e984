using System.Text;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Route;

namespace Postwright.Server.Cleanup;

/// <summary>
/// Completes the addresses in headers of local mail (local_header_rewrite_clients): <c>To: root</c> becomes
/// <c>To: root@$myorigin</c>. A header in which nothing changes stays as it came, byte for byte; one that changes is written anew, an address a line.
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
        IReadOnlyList<AddressToken> tokens = AddressList.Parse(value);
        AddressToken[]? changed = null;
        for (int i = 0; i < tokens.Count; i++)
        {
            string address = tokens[i].Kind == AddressTokenKind.Address ? AddressList.Internalize(tokens[i].Parts) : "";
            string rewritten = address.Length == 0 ? "" : rewriter.Rewrite(address);
            if (rewritten != address)
            {
                changed ??= [.. tokens];
                changed[i] = tokens[i] with { Parts = [new AddressToken(AddressTokenKind.Atom, rewritten, [])] };
            }
        }

        if (changed is null)
        {
            return false;
        }

        // A line an address, as long lists are folded.
        string list = AddressList.Externalize(changed, breakLines: true).Replace("\n", "\r\n    ", StringComparison.Ordinal);
        byte[] tail = (utf8 ? Encoding.UTF8 : Encoding.Latin1).GetBytes($" {list}\r\n");
        completed = [.. header[..(colon + 1)], .. tail];
        return true;
    }
}
