namespace Postwright.Core.Configuration;

/// <summary>A logical line: physical lines joined, comments dropped.</summary>
/// <param name="Text">The text; where lines were joined, the newline is gone and the blanks of the next line stay.</param>
/// <param name="Line">The number of its first physical line, from 1.</param>
/// <param name="LastLine">The number of its last physical line.</param>
public readonly record struct LogicalLine(string Text, int Line, int LastLine);

/// <summary>
/// Splits main.cf, master.cf and table sources into logical lines (readlline in Postfix): empty lines and lines whose first
/// non-blank is <c>#</c> count nowhere, not even between a line and its continuation; a line that begins with a blank
/// continues the one before. Where there is none before, it stands for itself with its leading blanks, and the caller reports it.
/// </summary>
public static class ConfigurationText
{
    /// <summary>True for what C calls white space; Unicode's further blanks are ordinary characters to Postfix.</summary>
    internal static bool IsSpace(char c) => c is ' ' or (>= '\t' and <= '\r');

    /// <summary>Postfix's warning about a line that continues nothing.</summary>
    internal static string LeadingSpace(string text)
        => $"logical line must not start with whitespace: \"{(text.Length > 30 ? text[..30] + "..." : text)}\"";

    /// <summary>The logical lines of a text, in order.</summary>
    public static IEnumerable<LogicalLine> LogicalLines(string text)
    {
        System.Text.StringBuilder? current = null;
        int first = 0;
        int last = 0;
        int number = 0;
        int at = 0;
        while (at < text.Length)
        {
            int end = text.IndexOf('\n', at);
            end = end < 0 ? text.Length : end;
            string line = text[at..end].TrimEnd('\r');
            at = end + 1;
            number++;

            string content = line.TrimStart(' ', '\t', '\v', '\f', '\r');
            if (content.Length == 0 || content[0] == '#')
            {
                continue;
            }

            bool continues = content.Length < line.Length;
            if (continues && current is not null)
            {
                current.Append(line);
                last = number;
                continue;
            }

            if (current is not null)
            {
                yield return new LogicalLine(current.ToString(), first, last);
            }

            current = new System.Text.StringBuilder(line);
            first = last = number;
        }

        if (current is not null)
        {
            yield return new LogicalLine(current.ToString(), first, last);
        }
    }
}
