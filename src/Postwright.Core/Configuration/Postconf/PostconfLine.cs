using System.Text;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>Writes lines as postconf does: blanks of any length become one, and <c>-f</c> folds before column 80.</summary>
internal static class PostconfLine
{
    public const int Limit = 80;
    public const int IndentLength = 4;
    public const string Indent = "    ";

    /// <summary>Writes <c>name = value</c>, the name alone or the value alone.</summary>
    public static void WriteSetting(TextWriter output, PostconfOptions options, string name, string value)
    {
        if (options.Has('j'))
        {
            output.Write($"{{\"{EscapeJson(name)}\": \"{EscapeJson(Join(value, fold: false))}\"}}\n");
            return;
        }

        string line = options.Has('H') ? name : options.Has('h') ? value : $"{name} = {value}";
        output.Write(Join(line, options.Has('f')) + "\n");
    }

    private static string Join(string line, bool fold)
    {
        var result = new StringBuilder(line.Length);
        int length = 0;
        foreach (string word in line.Split([' ', '\t', '\r', '\n', '\v', '\f'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (length > 0)
            {
                bool fits = !fold || length + word.Length < Limit;
                result.Append(fits ? " " : "\n" + Indent);
                length = fits ? length + 1 : IndentLength;
            }

            result.Append(word);
            length += word.Length;
        }

        return result.ToString();
    }

    private static string EscapeJson(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            switch (c)
            {
                case '"' or '\\':
                    result.Append('\\').Append(c);
                    break;
                case < ' ':
                    result.Append($"\\u{(int)c:X4}");
                    break;
                default:
                    result.Append(c);
                    break;
            }
        }

        return result.ToString();
    }
}
