using System.Text;

namespace Postwright.Protocol.Smtp;

/// <summary>xtext (RFC 3461, 4): printable ASCII, where <c>+HH</c> stands for any byte.</summary>
public static class Xtext
{
    /// <summary>Decodes; false if the text is no xtext, or not UTF-8 once decoded.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, out string decoded)
    {
        decoded = "";
        byte[] bytes = new byte[text.Length];
        int count = 0;
        for (int i = 0; i < text.Length; i++)
        {
            byte c = text[i];
            if (c == '+')
            {
                if (i + 2 >= text.Length || !TryHex(text[i + 1], out int high) || !TryHex(text[i + 2], out int low))
                {
                    return false;
                }

                bytes[count++] = (byte)((high << 4) | low);
                i += 2;
            }
            else if (c is > 32 and < 127 and not (byte)'=')
            {
                bytes[count++] = c;
            }
            else
            {
                return false;
            }
        }

        if (!System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(0, count)))
        {
            return false;
        }

        decoded = Encoding.UTF8.GetString(bytes, 0, count);
        return true;
    }

    /// <summary>Encodes a text's UTF-8 bytes.</summary>
    public static string Encode(string text)
    {
        StringBuilder encoded = new(text.Length);
        foreach (byte c in Encoding.UTF8.GetBytes(text))
        {
            if (c is > 32 and < 127 and not (byte)'+' and not (byte)'=')
            {
                encoded.Append((char)c);
            }
            else
            {
                encoded.Append('+').Append("0123456789ABCDEF"[c >> 4]).Append("0123456789ABCDEF"[c & 15]);
            }
        }

        return encoded.ToString();
    }

    // Capitals in RFC 3461; Postfix takes small letters too.
    private static bool TryHex(byte c, out int value)
    {
        value = c switch
        {
            >= (byte)'0' and <= (byte)'9' => c - '0',
            >= (byte)'A' and <= (byte)'F' => c - 'A' + 10,
            >= (byte)'a' and <= (byte)'f' => c - 'a' + 10,
            _ => -1,
        };
        return value >= 0;
    }
}
