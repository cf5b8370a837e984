using System.Buffers;
using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// A person's name before an address (RFC 5322, 3.4: display-name): as it is where it consists of plain words, quoted where
/// it has specials, as encoded words (RFC 2047) where it is not ASCII.
/// </summary>
public static class DisplayName
{
    /// <summary>RFC 2047, 2: an encoded word has at most 75 characters; <c>=?utf-8?Q?</c> and <c>?=</c> take 12.</summary>
    private const int EncodedLimit = 75 - 12;

    private static readonly SearchValues<char> Specials = SearchValues.Create("()<>[]:;@\\,.\"!%");

    /// <summary>The name as it may stand in a header; empty for an empty one.</summary>
    public static string Format(string name)
    {
        if (!Ascii.IsValid(name))
        {
            return Encode(name);
        }

        if (!name.AsSpan().ContainsAny(Specials) && !name.AsSpan().ContainsAnyInRange('\0', '\x1f') && !name.Contains('\x7f'))
        {
            return name;
        }

        var quoted = new StringBuilder("\"");
        foreach (char c in name)
        {
            quoted.Append(c is '"' or '\\' ? "\\" : "").Append(char.IsControl(c) ? ' ' : c);
        }

        return quoted.Append('"').ToString();
    }

    private static string Encode(string name)
    {
        var words = new StringBuilder();
        var word = new StringBuilder();
        foreach (Rune rune in name.EnumerateRunes())
        {
            // A character is never cut: each encoded word must be valid by itself.
            string encoded = Encode(rune);
            if (word.Length + encoded.Length > EncodedLimit)
            {
                words.Append("=?utf-8?Q?").Append(word).Append("?= ");
                word.Clear();
            }

            word.Append(encoded);
        }

        return words.Append("=?utf-8?Q?").Append(word).Append("?=").ToString();
    }

    private static string Encode(Rune rune)
    {
        if (rune.Value == ' ')
        {
            return "_";
        }

        if (rune.IsAscii && char.IsAsciiLetterOrDigit((char)rune.Value))
        {
            return rune.ToString();
        }

        Span<byte> bytes = stackalloc byte[4];
        int count = rune.EncodeToUtf8(bytes);
        var text = new StringBuilder();
        foreach (byte one in bytes[..count])
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"={one:X2}");
        }

        return text.ToString();
    }
}
