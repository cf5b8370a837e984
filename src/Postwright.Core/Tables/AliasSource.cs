using System.Text;

namespace Postwright.Core.Tables;

// The source format of aliases(5), "name: value, value", as postalias(1) turns it into table entries: the text is cut into
// RFC 822 tokens; the name becomes plain (unquoted) text, the value is put together again with its quotes and one blank
// after each comma. What a value means (|command, /file, :include:) is local(8)'s affair and is not looked at.

/// <summary>Reads alias files.</summary>
internal static class AliasSource
{
    private const string Operators = "|\"(),.:;<>@[]%!";

    /// <summary>The entries of <paramref name="lines"/>; bad lines are reported to <paramref name="warn"/> and left out.</summary>
    public static IEnumerable<SourceEntry> Read(string path, IEnumerable<LogicalLine> lines, bool utf8, Action<string> warn)
    {
        foreach (LogicalLine line in lines)
        {
            string where = $"{path}, line {line.Number}: ";
            if (utf8 && TableText.HasStrayBytes(line.Text))
            {
                warn($"{where}non-UTF-8 input \"{line.Text}\" -- ignoring this line");
                continue;
            }

            List<Token> tokens = Scan(line.Text);
            int colon = tokens.FindIndex(token => token.Kind == ':');
            if (colon <= 0 || colon == tokens.Count - 1 || tokens.FindIndex(0, colon, token => token.Kind == ',') >= 0)
            {
                warn($"{where}need name:value pair");
                continue;
            }

            if (tokens.FindIndex(0, colon, token => token.Kind is '@' or '%') >= 0)
            {
                warn($"{where}name must be local");
                continue;
            }

            yield return new SourceEntry(line.Number, Join(tokens[..colon], quote: false), Join(tokens[(colon + 1)..], quote: true));
        }
    }

    /// <summary>Kind: an operator's own character, or a (atom), q (quoted string), c (comment), d (domain literal).</summary>
    private readonly record struct Token(char Kind, string Text)
    {
        public bool IsWord => Kind is 'a' or 'q' or 'c' or 'd';
    }

    private static List<Token> Scan(string text)
    {
        var tokens = new List<Token>();
        int i = 0;
        while (i < text.Length)
        {
            char c = text[i];
            if (LogicalLines.White.Contains(c))
            {
                i++;
            }
            else if (c == '(')
            {
                tokens.Add(new Token('c', Comment(text, ref i)));
            }
            else if (c is '"' or '[')
            {
                i++;
                tokens.Add(new Token(c == '"' ? 'q' : 'd', Until(text, c == '"' ? '"' : ']', ref i)));
            }
            else if (Operators.Contains(c))
            {
                tokens.Add(new Token(c, ""));
                i++;
            }
            else
            {
                tokens.Add(Atom(text, ref i));
            }
        }

        return tokens;
    }

    private static string Comment(string text, ref int i)
    {
        int start = i;
        int depth = 0;
        while (i < text.Length)
        {
            char c = text[i++];
            if (c == '\\' && i < text.Length)
            {
                i++;
            }
            else if (c == '(')
            {
                depth++;
            }
            else if (c == ')' && --depth == 0)
            {
                break;
            }
        }

        return text[start..i];
    }

    private static string Until(string text, char end, ref int i)
    {
        var inside = new StringBuilder();
        while (i < text.Length)
        {
            char c = text[i++];
            if (c == end)
            {
                break;
            }

            inside.Append(c == '\\' && i < text.Length ? text[i++] : c);
        }

        return inside.ToString();
    }

    private static Token Atom(string text, ref int i)
    {
        var inside = new StringBuilder();
        while (i < text.Length && !LogicalLines.White.Contains(text[i]) && !Operators.Contains(text[i]))
        {
            char c = text[i++];
            if (c == '\\')
            {
                if (i == text.Length)
                {
                    break;
                }

                c = text[i++];
            }

            inside.Append(c);
        }

        // Old sendmail's \user is a plain name; what needs its backslash needs quotes from now on.
        string atom = inside.ToString();
        return new Token(atom.Any(c => c is '\\' or < ' ' or '\x7f' || LogicalLines.White.Contains(c) || Operators.Contains(c)) ? 'q' : 'a', atom);
    }

    private static string Join(List<Token> tokens, bool quote)
    {
        var text = new StringBuilder();
        for (int i = 0; i < tokens.Count; i++)
        {
            Token token = tokens[i];
            _ = token.Kind switch
            {
                'q' when quote => Quote(text, token.Text, "\"\\\r", '"', '"'),
                'd' => Quote(text, token.Text, "\\\r", '[', ']'),
                'a' or 'q' or 'c' => text.Append(token.Text),
                _ => text.Append(token.Kind),
            };
            bool more = i + 1 < tokens.Count;
            if (token.Kind == ',' || (more && (tokens[i + 1].Kind == '<' || (token.IsWord && tokens[i + 1].IsWord))))
            {
                text.Append(' ');
            }
        }

        return text.ToString();
    }

    private static StringBuilder Quote(StringBuilder text, string inside, string escaped, char open, char close)
    {
        text.Append(open);
        foreach (char c in inside)
        {
            if (escaped.Contains(c))
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        return text.Append(close);
    }
}
