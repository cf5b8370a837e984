namespace Postwright.Core.Tables.Patterns;

// A text that every match of a pattern must contain, so that a rule need not be tried on a subject without it. Only what is
// beyond doubt is taken: characters one after the other at the outermost level, each exactly once or more. Whatever is not
// understood ends the text, or makes the pattern one that is always tried.

/// <summary>What a match must contain.</summary>
internal static class RequiredLiteral
{
    private static readonly System.Buffers.SearchValues<byte> Times = System.Buffers.SearchValues.Create("0123456789, "u8);

    /// <summary>The longest such text, in lower case (ASCII), or an empty one when there is none that is certain.</summary>
    public static byte[] Of(string pattern)
    {
        if (pattern.Contains('\0') || HasSettings(pattern))
        {
            return [];
        }

        ReadOnlySpan<byte> text = TableText.Encode(pattern);
        var best = new List<byte>();
        var current = new List<byte>();
        int i = 0;
        while (i < text.Length)
        {
            byte c = text[i];
            switch (c)
            {
                case (byte)'|':
                    return [];
                case (byte)'\\' when i + 1 == text.Length:
                    return [];
                case (byte)'\\' when !char.IsAsciiLetterOrDigit((char)text[i + 1]) && text[i + 1] is not ((byte)'<' or (byte)'>' or (byte)'`' or (byte)'\''):
                    current.Add(text[i + 1]);
                    i += 2;
                    break;
                case (byte)'\\' when !"dDsSwWbB".Contains((char)text[i + 1]):
                    return [];
                case (byte)'\\':
                    End(current, best);
                    i += 2;
                    break;
                case (byte)'[' or (byte)'(':
                    End(current, best);
                    i = c == '[' ? BehindClass(text, i) : BehindGroup(text, i);
                    if (i < 0)
                    {
                        return [];
                    }

                    break;
                case (byte)'*' or (byte)'?' or (byte)'{':
                    // The character before may be missing; what follows a brace up to its end is a number of times, or plain text.
                    if (current.Count > 0)
                    {
                        current.RemoveAt(current.Count - 1);
                    }

                    End(current, best);
                    i = c == '{' ? BehindBrace(text, i) : i + 1;
                    break;
                case (byte)'+' or (byte)'.' or (byte)'^' or (byte)'$' or (byte)')' or (byte)']' or (byte)'}':
                    End(current, best);
                    i++;
                    break;
                default:
                    current.Add(c);
                    i++;
                    break;
            }
        }

        End(current, best);
        byte[] literal = [.. best];
        for (int n = 0; n < literal.Length; n++)
        {
            literal[n] = literal[n] is >= (byte)'A' and <= (byte)'Z' ? (byte)(literal[n] | 0x20) : literal[n];
        }

        return literal;
    }

    /// <summary>True for verbs, settings, conditions and the like, which may change what everything else means.</summary>
    private static bool HasSettings(string pattern)
    {
        for (int i = 0; i + 1 < pattern.Length; i++)
        {
            if (pattern[i] == '(' && (pattern[i + 1] == '*' || (pattern[i + 1] == '?' && (i + 2 == pattern.Length || !":=!>".Contains(pattern[i + 2])))))
            {
                return true;
            }
        }

        return false;
    }

    private static void End(List<byte> current, List<byte> best)
    {
        if (current.Count > best.Count)
        {
            best.Clear();
            best.AddRange(current);
        }

        current.Clear();
    }

    /// <summary>Behind a number of times; only behind the brace when it is none.</summary>
    private static int BehindBrace(ReadOnlySpan<byte> text, int at)
    {
        int close = text[at..].IndexOf((byte)'}');
        return close > 0 && !text.Slice(at + 1, close - 1).ContainsAnyExcept(Times) ? at + close + 1 : at + 1;
    }

    /// <summary>Behind a class in brackets, or -1: "]" counts as itself when it is the first, and [:names:] have brackets of their own.</summary>
    private static int BehindClass(ReadOnlySpan<byte> text, int at)
    {
        int i = at + 1;
        i += i < text.Length && text[i] == '^' ? 1 : 0;
        i += i < text.Length && text[i] == ']' ? 1 : 0;
        for (; i < text.Length; i++)
        {
            if (text[i] is (byte)'\\' or (byte)'[')
            {
                // Backslashes mean one thing to POSIX and another to PCRE here.
                return -1;
            }

            if (text[i] == ']')
            {
                return i + 1;
            }
        }

        return -1;
    }

    private static int BehindGroup(ReadOnlySpan<byte> text, int at)
    {
        int depth = 0;
        for (int i = at; i >= 0 && i < text.Length;)
        {
            switch (text[i])
            {
                case (byte)'\\' when i + 1 < text.Length && char.IsAsciiLetterOrDigit((char)text[i + 1]) && !"dDsSwWbB".Contains((char)text[i + 1]):
                    return -1;
                case (byte)'\\':
                    i += 2;
                    break;
                case (byte)'[':
                    i = BehindClass(text, i);
                    break;
                case (byte)'(':
                    depth++;
                    i++;
                    break;
                case (byte)')':
                    i++;
                    if (--depth == 0)
                    {
                        return i;
                    }

                    break;
                default:
                    i++;
                    break;
            }
        }

        return -1;
    }
}
