using System.Globalization;
using System.Text;

namespace Postwright.Core.Tables.Patterns;

// POSIX regular expressions, extended and basic, with GNU's additions (\w, \<, \|, ...), written as PCRE2 means them: for what the
// C library must not run, since its matcher has no limit. Only expressions that regcomp has accepted come here, so that errors
// need no words. Whether a text matches is the same; which of several matches is taken may differ: the longest, or the first.

/// <summary>Turns an expression that regcomp accepts into one for PCRE2.</summary>
internal sealed class PosixPattern
{
    private readonly byte[] _pattern;
    private readonly bool _extended;
    private readonly bool _ignoreCase;
    private readonly bool _newLine;
    private readonly StringBuilder _result = new();
    private readonly Stack<int> _groups = new();
    private int _at;

    /// <summary>Where in the result the piece begins that a repetition would be of; -1 if there is none.</summary>
    private int _piece = -1;
    private bool _repeated;

    private PosixPattern(string pattern, bool extended, bool ignoreCase, bool newLine)
    {
        _pattern = TableText.Encode(pattern);
        _extended = extended;
        _ignoreCase = ignoreCase;
        _newLine = newLine;
    }

    /// <summary>The expression for PCRE2 with PCRE2_DOTALL; null for one that it has no words for.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="extended">Extended rather than basic.</param>
    /// <param name="ignoreCase">REG_ICASE, which the caller asks PCRE2 for too.</param>
    /// <param name="newLine">REG_NEWLINE: lines count by themselves.</param>
    public static string? Translate(string pattern, bool extended, bool ignoreCase, bool newLine)
    {
        var translation = new PosixPattern(pattern, extended, ignoreCase, newLine);
        while (translation._at < translation._pattern.Length)
        {
            if (!translation.Next())
            {
                return null;
            }
        }

        return translation._groups.Count == 0 ? translation._result.ToString() : null;
    }

    private bool Next()
    {
        int start = _at;
        char c = (char)_pattern[_at++];
        bool escaped = c == '\\';
        if (escaped)
        {
            if (_at == _pattern.Length)
            {
                return false;
            }

            c = (char)_pattern[_at++];
        }

        // Written as they are in extended expressions, and with a backslash in basic ones.
        bool isOperator = escaped != _extended;
        switch (c)
        {
            case '(' when isOperator:
                _groups.Push(_result.Length);
                _result.Append('(');
                _piece = -1;
                return true;
            case ')' when isOperator && _groups.Count > 0:
                _result.Append(')');
                _piece = _groups.Pop();
                _repeated = false;
                return true;
            case '|' when isOperator:
                _result.Append('|');
                _piece = -1;
                return true;
            case '{' when isOperator:
                return Interval();
            case '*' when !escaped:
            case '+' or '?' when isOperator:
                return _piece >= 0 ? Repeat(c.ToString()) : !_extended && Literal(c);
            case '^' when !escaped && (_extended || IsBranchStart(start)):
                return Anchor(_newLine ? "(?<![^\\n])" : "\\A");
            case '$' when !escaped && (_extended || IsBranchEnd()):
                return Anchor(_newLine ? "(?![^\\n])" : "\\z");
            case '.' when !escaped:
                return Piece(_newLine ? "[^\\n]" : ".");
            case '[' when !escaped:
                return Brackets();
            case >= '1' and <= '9' when escaped:
                return Piece($"\\g{{{c}}}");
            case 'w' or 'W' or 's' or 'S' when escaped:
                return Piece($"\\{c}");
            case 'b' or 'B' when escaped:
                return Anchor($"\\{c}");
            case '<' when escaped:
                return Anchor("\\b(?=\\w)");
            case '>' when escaped:
                return Anchor("\\b(?<=\\w)");
            case '`' when escaped:
                return Anchor("\\A");
            case '\'' when escaped:
                return Anchor("\\z");
            case >= 'a' and <= 'z' when escaped && _ignoreCase:
                // The C library turns the text into capitals, and such a letter it does not: "\d" matches nothing, neither digit nor d.
                return Piece("(?:(?!))");
            default:
                return Literal(c);
        }
    }

    private bool IsBranchStart(int at) =>
        at == 0 || (at >= 2 && _pattern[at - 2] == '\\' && _pattern[at - 1] is (byte)'(' or (byte)'|');

    private bool IsBranchEnd() =>
        _at == _pattern.Length || (_at + 1 < _pattern.Length && _pattern[_at] == '\\' && _pattern[_at + 1] is (byte)')' or (byte)'|');

    private bool Piece(string text)
    {
        _piece = _result.Length;
        _repeated = false;
        _result.Append(text);
        return true;
    }

    private bool Anchor(string text)
    {
        _result.Append(text);
        _piece = -1;
        return true;
    }

    private bool Literal(char c) => Piece(Character((byte)c));

    /// <summary>Letters and digits as they are, everything else by its number: so nothing has a meaning of its own.</summary>
    private static string Character(byte c) =>
        char.IsAsciiLetterOrDigit((char)c) ? ((char)c).ToString() : string.Create(CultureInfo.InvariantCulture, $"\\x{c:x2}");

    private bool Repeat(string times)
    {
        if (_repeated)
        {
            // "a+?" is a repetition of a repetition here, and something else there.
            _result.Insert(_piece, "(?:").Append(')');
        }

        _result.Append(times);
        _repeated = true;
        return true;
    }

    /// <summary><c>{2}</c>, <c>{2,}</c>, <c>{2,3}</c>, and <c>{,3}</c>, which PCRE2 takes for text.</summary>
    private bool Interval()
    {
        ReadOnlySpan<byte> end = _extended ? "}"u8 : "\\}"u8;
        int length = _pattern.AsSpan(_at).IndexOf(end);
        if (length <= 0 || _piece < 0)
        {
            return false;
        }

        string times = Encoding.ASCII.GetString(_pattern, _at, length);
        _at += length + end.Length;
        return times.All(c => c == ',' || char.IsAsciiDigit(c))
            && Repeat(times[0] == ',' ? $"{{0{times}}}" : $"{{{times}}}");
    }

    private bool Brackets()
    {
        var set = new StringBuilder("[");
        if (_at < _pattern.Length && _pattern[_at] == '^')
        {
            _at++;
            set.Append(_newLine ? "^\\n" : "^");
        }

        for (bool first = true; _at < _pattern.Length; first = false)
        {
            if (_pattern[_at] == ']' && !first)
            {
                _at++;
                return Piece(set.Append(']').ToString());
            }

            if (_pattern.AsSpan(_at).StartsWith("[:"u8))
            {
                int length = _pattern.AsSpan(_at).IndexOf(":]"u8);
                if (length < 0)
                {
                    return false;
                }

                set.Append(Encoding.Latin1.GetString(_pattern, _at, length + 2));
                _at += length + 2;
            }
            else if (Member() is not { } from)
            {
                return false;
            }
            else
            {
                set.Append(Character(from));
                if (_at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
                {
                    _at++;
                    if (Member() is not { } to)
                    {
                        return false;
                    }

                    set.Append('-').Append(Character(to));
                }
            }
        }

        return false;
    }

    /// <summary>A byte within brackets, also as <c>[.x.]</c> or <c>[=x=]</c>; null for names of several.</summary>
    private byte? Member()
    {
        byte c = _pattern[_at++];
        if (c != '[' || _at >= _pattern.Length || _pattern[_at] is not ((byte)'.' or (byte)'='))
        {
            return c;
        }

        if (_at + 3 >= _pattern.Length || _pattern[_at + 2] != _pattern[_at] || _pattern[_at + 3] != ']')
        {
            return null;
        }

        c = _pattern[_at + 1];
        _at += 4;
        return c;
    }
}
