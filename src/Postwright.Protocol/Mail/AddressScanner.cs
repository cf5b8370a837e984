using System.Buffers;
using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// Cuts an address list into words, quoted strings, domain literals, comments and operators. A missing closing quote, bracket
/// or parenthesis ends with the text. White space inside words becomes a blank; a backslash takes the next character as it is.
/// </summary>
internal static class AddressScanner
{
    /// <summary>RFC 822's specials, and the operators of the addresses before it.</summary>
    private static readonly SearchValues<char> Operators = SearchValues.Create("|%!()<>@,;:\\\".[]");

    public static List<AddressToken> Scan(string text, int tokenLimit)
    {
        var tokens = new List<AddressToken>();
        int at = 0;
        while (at < text.Length && text[at] != '\0' && (tokenLimit <= 0 || tokens.Count < tokenLimit))
        {
            char c = text[at];
            if (c is ' ' or '\t' or '\r' or '\n')
            {
                at++;
            }
            else if (c == '(')
            {
                tokens.Add(new AddressToken(AddressTokenKind.Comment, ScanComment(text, ref at)));
            }
            else if (c == '[')
            {
                tokens.Add(new AddressToken(AddressTokenKind.DomainLiteral, ScanUntil(text, ref at, ']')));
            }
            else if (c == '"')
            {
                tokens.Add(new AddressToken(AddressTokenKind.QuotedString, ScanUntil(text, ref at, '"')));
            }
            else if (c != '\\' && Operators.Contains(c))
            {
                tokens.Add(new AddressToken(AddressTokenKind.Operator, c.ToString()));
                at++;
            }
            else
            {
                string word = ScanWord(text, ref at);
                tokens.Add(new AddressToken(NeedsQuotes(word) ? AddressTokenKind.QuotedString : AddressTokenKind.Atom, word));
            }
        }

        return tokens;
    }

    private static string ScanUntil(string text, ref int at, char close)
    {
        var word = new StringBuilder();
        for (at++; at < text.Length && text[at] != '\0' && text[at] != close; at++)
        {
            if (text[at] == '\\' && ++at >= text.Length)
            {
                break;
            }

            word.Append(Blank(text[at]));
        }

        at++;
        return word.ToString();
    }

    private static string ScanWord(string text, ref int at)
    {
        var word = new StringBuilder();
        for (; at < text.Length && text[at] != '\0'; at++)
        {
            char c = text[at];
            if (c == '\\')
            {
                if (++at >= text.Length)
                {
                    break;
                }
            }
            else if (c is ' ' or '\t' or '\r' or '\n' || Operators.Contains(c))
            {
                break;
            }

            word.Append(Blank(text[at]));
        }

        return word.ToString();
    }

    private static string ScanComment(string text, ref int at)
    {
        int start = at;
        int depth = 0;
        for (; at < text.Length && text[at] != '\0'; at++)
        {
            if (text[at] == '\\')
            {
                at++;
            }
            else if (text[at] == '(')
            {
                depth++;
            }
            else if (text[at] == ')' && --depth == 0)
            {
                at++;
                break;
            }
        }

        at = Math.Min(at, text.Length);
        return text[start..at];
    }

    private static char Blank(char c) => c is '\t' or '\r' or '\n' ? ' ' : c;

    private static bool NeedsQuotes(string word) => word.AsSpan().ContainsAny(Operators) || word.AsSpan().ContainsAnyInRange('\0', ' ') || word.Contains('\x7f');
}
