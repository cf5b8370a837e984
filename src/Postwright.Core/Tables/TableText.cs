using System.Text;

namespace Postwright.Core.Tables;

// Table files hold bytes; lookups ask with strings. Text is UTF-8; a byte that is not part of valid UTF-8 becomes the lone
// surrogate U+DC00 + byte and turns back into that byte, so that every file's content survives the way through a string.
// Folding is what makes keys equal: ASCII in lower case, quickly; the rest by Unicode's case folding, or not at all.

/// <summary>Bytes of table files as strings and back, without loss.</summary>
internal static class TableText
{
    private const int EscapeBase = 0xDC00;

    /// <summary>Decodes UTF-8; stray bytes become lone surrogates.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (System.Text.Unicode.Utf8.IsValid(bytes))
        {
            return Encoding.UTF8.GetString(bytes);
        }

        var text = new StringBuilder(bytes.Length);
        Span<char> pair = stackalloc char[2];
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int used) == System.Buffers.OperationStatus.Done)
            {
                text.Append(pair[..rune.EncodeToUtf16(pair)]);
            }
            else
            {
                used = 1;
                text.Append((char)(EscapeBase + bytes[0]));
            }

            bytes = bytes[used..];
        }

        return text.ToString();
    }

    /// <summary>The bytes that <see cref="Decode"/> made <paramref name="text"/> from, and a NUL.</summary>
    public static byte[] EncodeWithNul(ReadOnlySpan<char> text)
    {
        if (text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            return [.. Encode(text), 0];
        }

        byte[] plain = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, plain);
        return plain;
    }

    /// <summary>The bytes that <see cref="Decode"/> made <paramref name="text"/> from.</summary>
    public static byte[] Encode(ReadOnlySpan<char> text)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            byte[] plain = new byte[Encoding.UTF8.GetByteCount(text)];
            Encoding.UTF8.GetBytes(text, plain);
            return plain;
        }

        var bytes = new List<byte>(text.Length * 3);
        Span<byte> four = stackalloc byte[4];
        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(text, out Rune rune, out int used) == System.Buffers.OperationStatus.Done)
            {
                bytes.AddRange(four[..rune.EncodeToUtf8(four)]);
            }
            else
            {
                used = 1;
                bytes.Add((byte)(text[0] - EscapeBase));
            }

            text = text[used..];
        }

        return [.. bytes];
    }

    /// <summary>True when <paramref name="text"/> carries bytes that were not valid UTF-8.</summary>
    public static bool HasStrayBytes(ReadOnlySpan<char> text)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            return false;
        }

        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(text, out _, out int used) != System.Buffers.OperationStatus.Done)
            {
                return true;
            }

            text = text[used..];
        }

        return false;
    }

    /// <summary>The form in which keys are compared.</summary>
    public static string Fold(string key, TableUse use) =>
        (use & TableUse.Fold) == 0 ? key
        : Ascii.IsValid(key) ? key.ToLowerInvariant()
        : (use & TableUse.AnyBytes) == 0 ? CaseFolding.Fold(key)
        : string.Create(key.Length, key, static (folded, from) =>
        {
            for (int i = 0; i < folded.Length; i++)
            {
                folded[i] = char.IsAsciiLetterUpper(from[i]) ? (char)(from[i] | 0x20) : from[i];
            }
        });
}
