namespace Postwright.Protocol.Smtp;

/// <summary>A word of a command line: where it stands, and whether a quote or bracket in it was left open.</summary>
/// <param name="Start">Offset in the line.</param>
/// <param name="Length">Bytes.</param>
/// <param name="IsBroken">True when <c>"</c> or <c>&lt;</c> has no end.</param>
public readonly record struct CommandToken(int Start, int Length, bool IsBroken);

/// <summary>
/// Cuts a command line into words as Postfix does: white space parts them unless a backslash, quotes or angle brackets
/// protect it, and <c>FROM:</c> and <c>TO:</c> end a word without white space, so that <c>MAIL FROM:&lt;a&gt;</c> and
/// <c>MAIL FROM: &lt;a&gt;</c> are the same three words (RFC 5321, 3.3 allows only the first; clients send both).
/// Words are slices of the line; nothing is copied. An instance is reused from line to line and keeps the words of the last.
/// </summary>
public sealed class CommandTokens
{
    // Five words cover MAIL with three parameters; RFC 5321 gives no bound but the line's length.
    private CommandToken[] _tokens = new CommandToken[6];

    /// <summary>The number of words.</summary>
    public int Count { get; private set; }

    /// <summary>A word by position.</summary>
    public CommandToken this[int index] => _tokens[index];

    /// <summary>The bytes of a word.</summary>
    public ReadOnlySpan<byte> Slice(ReadOnlySpan<byte> line, int index) => line.Slice(_tokens[index].Start, _tokens[index].Length);

    /// <summary>Parses a line that has no line end any more. A NUL byte ends it, as in a C string.</summary>
    public void Parse(ReadOnlySpan<byte> line)
    {
        int end = line.IndexOf((byte)0);
        if (end >= 0)
        {
            line = line[..end];
        }

        Count = 0;
        int position = 0;
        while (Next(line, ref position))
        {
        }
    }

    private bool Next(ReadOnlySpan<byte> line, ref int position)
    {
        while (position < line.Length && IsSpace(line[position]))
        {
            position++;
        }

        int start = position;
        bool broken = false;
        while (position < line.Length)
        {
            byte c = line[position];
            if (IsSpace(c))
            {
                break;
            }

            position++;
            if (c == '<')
            {
                broken |= !SkipQuoted(line, ref position, (byte)'>');
            }
            else if (c == '"')
            {
                broken |= !SkipQuoted(line, ref position, (byte)'"');
            }
            else if (c == '\\' && position < line.Length)
            {
                position++;
            }
            else if (c == ':' && EndsPathKeyword(line[start..position]))
            {
                break;
            }
        }

        if (position == start)
        {
            return false;
        }

        if (Count == _tokens.Length)
        {
            Array.Resize(ref _tokens, Count * 2);
        }

        _tokens[Count++] = new CommandToken(start, position - start, broken);
        return true;
    }

    // Skips to the closing character; quotes nest in brackets, and brackets in brackets.
    private static bool SkipQuoted(ReadOnlySpan<byte> line, ref int position, byte closing)
    {
        int brackets = closing == '>' ? 1 : 0;
        bool inQuotes = closing == '"';
        while (position < line.Length)
        {
            byte c = line[position++];
            if (c == '\\')
            {
                if (position == line.Length)
                {
                    return false;
                }

                position++;
            }
            else if (c == '"')
            {
                inQuotes = !inQuotes;
                if (!inQuotes && brackets == 0)
                {
                    return true;
                }
            }
            else if (!inQuotes && c == '>')
            {
                if (--brackets == 0)
                {
                    return true;
                }
            }
            else if (!inQuotes && c == '<')
            {
                brackets++;
            }
        }

        return false;
    }

    private static bool EndsPathKeyword(ReadOnlySpan<byte> word) =>
        System.Text.Ascii.EqualsIgnoreCase(word, "from:"u8) || System.Text.Ascii.EqualsIgnoreCase(word, "to:"u8);

    private static bool IsSpace(byte c) => c is (byte)' ' or (>= 9 and <= 13);
}
