namespace Postwright.Protocol.Smtp;

/// <summary>Enhanced status codes (RFC 3463) at the start of a reply's or table's text.</summary>
public static class EnhancedStatus
{
    /// <summary>
    /// The length of a code such as <c>5.7.1</c> at the start of <paramref name="text"/>, 0 if there is none: class 2, 4 or
    /// 5, subject and detail of up to three digits, and white space or the end after it.
    /// </summary>
    public static int LengthAt(ReadOnlySpan<char> text)
    {
        if (text.Length < 5 || text[0] is not ('2' or '4' or '5') || text[1] != '.')
        {
            return 0;
        }

        int position = 2;
        int subject = Digits(text[position..]);
        position += subject;
        if (subject == 0 || position >= text.Length || text[position] != '.')
        {
            return 0;
        }

        int detail = Digits(text[++position..]);
        position += detail;
        return detail == 0 || (position < text.Length && !char.IsWhiteSpace(text[position])) ? 0 : position;
    }

    /// <summary>Parts <c>5.7.1 text</c>; the code is <paramref name="fallback"/> where there is none.</summary>
    public static (string Code, string Text) Split(string text, string fallback)
    {
        int length = LengthAt(text);
        return length == 0 ? (fallback, text) : (text[..length], text[length..].TrimStart());
    }

    private static int Digits(ReadOnlySpan<char> text)
    {
        int count = 0;
        while (count < 3 && count < text.Length && char.IsAsciiDigit(text[count]))
        {
            count++;
        }

        return count;
    }
}
