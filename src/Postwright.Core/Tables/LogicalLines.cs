using System.Buffers;

namespace Postwright.Core.Tables;

// Table sources, as postmap(1) reads them: a line that begins with white space continues the one before it; lines that are
// empty or whose first non-blank is "#" are skipped, also between continuation lines. A line number is that of the first
// physical line of a logical line.

/// <summary>A logical line, with the blanks at its end.</summary>
internal readonly record struct LogicalLine(int Number, string Text)
{
    /// <summary>Without them.</summary>
    public string Trimmed => Text.TrimEnd(LogicalLines.White);
}

/// <summary>Reads logical lines of table sources.</summary>
internal static class LogicalLines
{
    /// <summary>The longest logical line that is read; longer ones are cut off. Postfix has no limit; 1 MiB is far above any real rule.</summary>
    public const int MaxLength = 1 << 20;

    /// <summary>Splits a file's content; lines that continue nothing are warned of and left out.</summary>
    /// <exception cref="IOException">It cannot be read, or holds more than <paramref name="limit"/> bytes.</exception>
    public static IEnumerable<LogicalLine> Read(Stream content, string path, Action<string> warn, long limit)
    {
        foreach (LogicalLine line in Read(content, limit))
        {
            if (White.Contains(line.Text[0]))
            {
                warn($"{path}: logical line must not start with whitespace: \"{(line.Text.Length > 30 ? line.Text[..30] + "..." : line.Text)}\"");
            }
            else
            {
                yield return line;
            }
        }
    }

    /// <summary>Splits a file's content.</summary>
    /// <exception cref="IOException">It cannot be read, or holds more than <paramref name="limit"/> bytes.</exception>
    public static IEnumerable<LogicalLine> Read(Stream content, long limit)
    {
        var physical = new PhysicalLines(content, limit);
        int number = 0;
        int first = 0;
        string? line = null;
        System.Text.StringBuilder? joined = null;
        while (physical.MoveNext())
        {
            number++;
            LineKind kind = Classify(physical.Line);
            if (kind == LineKind.Skipped)
            {
                continue;
            }

            if (line is not null && kind == LineKind.Continuation)
            {
                joined ??= new System.Text.StringBuilder(line);
                joined.Append(TableText.Decode(physical.Line[..Math.Min(physical.Line.Length, MaxLength - Math.Min(joined.Length, MaxLength))]));
                continue;
            }

            if (line is not null)
            {
                yield return new LogicalLine(first, joined?.ToString() ?? line);
                joined = null;
            }

            line = TableText.Decode(physical.Line);
            first = number;
        }

        if (line is not null)
        {
            yield return new LogicalLine(first, joined?.ToString() ?? line);
        }
    }

    /// <summary>What C's isspace says of ASCII.</summary>
    public static readonly char[] White = [' ', '\t', '\r', '\n', '\v', '\f'];

    private static readonly SearchValues<byte> WhiteBytes = SearchValues.Create(" \t\r\n\v\f"u8);

    private enum LineKind
    {
        Skipped,
        Start,
        Continuation,
    }

    private static LineKind Classify(ReadOnlySpan<byte> physical)
    {
        if (physical.Length > 0 && char.IsAsciiLetterOrDigit((char)physical[0]))
        {
            return LineKind.Start;
        }

        int text = physical.IndexOfAnyExcept(WhiteBytes);
        return text < 0 || physical[text] == '#' ? LineKind.Skipped
            : text == 0 ? LineKind.Start : LineKind.Continuation;
    }
}
