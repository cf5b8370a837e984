using System.Buffers;
using System.Text;
using Postwright.Protocol.Mail;

namespace Postwright.Protocol.Smtp;

/// <summary>
/// The address argument of MAIL and RCPT (RFC 5321, 4.1.2), in Postfix's tolerant reading (no brackets needed, RFC 822 phrases
/// and comments ignored, source route removed) or, with strict_rfc821_envelopes, in RFC 821's.
/// </summary>
public static class SmtpPath
{
    private static readonly SearchValues<byte> PlainLocal =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~."u8);

    private static readonly SearchValues<byte> PlainDomain =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"u8);

    /// <summary>Reads an argument.</summary>
    /// <param name="argument">The word after <c>FROM:</c> or <c>TO:</c>.</param>
    /// <param name="strict">Brackets required, and nothing beside the address.</param>
    /// <param name="address">Internal form; empty for <c>&lt;&gt;</c>.</param>
    /// <returns>False if there is more than one address, or a strict reader refuses it.</returns>
    public static bool TryParse(ReadOnlySpan<byte> argument, bool strict, out string address)
    {
        if (TryParsePlain(argument, out address))
        {
            return true;
        }

        string text = WithoutRoute(Decode(argument));
        int addresses = 0;
        bool isAlone = text is ['<', ..];
        address = "";
        foreach (AddressToken token in AddressList.Parse(text))
        {
            if (token.Kind == AddressTokenKind.Address)
            {
                addresses++;
                address = AddressList.Internalize(token.Parts);
            }
            else if (token is not { Kind: AddressTokenKind.Operator, Text: "<" or ">" })
            {
                isAlone = false;
            }
        }

        return addresses <= 1 && (!strict || (isAlone && !address.StartsWith('@')));
    }

    // RFC 5321, 4.1.1.3: a source route is accepted and not followed.
    private static string WithoutRoute(string text)
    {
        int start = text is ['<', ..] ? 1 : 0;
        int colon = start < text.Length && text[start] == '@' ? text.IndexOf(':', StringComparison.Ordinal) : -1;
        return colon < 0 ? text : string.Concat(text.AsSpan(0, start), text.AsSpan(colon + 1));
    }

    /// <summary>UTF-8 where it is valid, else one character a byte, so that nothing is lost on the way to a log or reply.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes) =>
        System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : Encoding.Latin1.GetString(bytes);

    // <local@domain> and <> without anything that needs a parser.
    private static bool TryParsePlain(ReadOnlySpan<byte> argument, out string address)
    {
        address = "";
        if (argument.Length < 2 || argument[0] != '<' || argument[^1] != '>')
        {
            return false;
        }

        ReadOnlySpan<byte> inside = argument[1..^1];
        if (inside.IsEmpty)
        {
            return true;
        }

        int at = inside.IndexOfAnyExcept(PlainLocal);
        if (at <= 0 || inside[at] != '@' || at + 1 == inside.Length || inside[(at + 1)..].IndexOfAnyExcept(PlainDomain) >= 0)
        {
            return false;
        }

        address = Encoding.ASCII.GetString(inside);
        return true;
    }
}
