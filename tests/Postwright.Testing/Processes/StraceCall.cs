using System.Globalization;
using System.Text.RegularExpressions;

namespace Postwright.Testing.Processes;

/// <summary>A system call in what <c>strace -f -y</c> has written; places are line numbers, a call that others interrupt has two.</summary>
/// <param name="Name">The call.</param>
/// <param name="File">What its first descriptor names; empty without one.</param>
/// <param name="Arguments">All of them, as strace shows them.</param>
/// <param name="Result">What it returned.</param>
/// <param name="Begin">The line where it began.</param>
/// <param name="End">The line where it ended.</param>
public sealed partial record StraceCall(string Name, string File, string Arguments, long Result, int Begin, int End)
{
    private const string Unfinished = " <unfinished ...>";

    /// <summary>The calls that ended, in the order in which they did.</summary>
    public static StraceCall[] Read(string[] lines)
    {
        List<StraceCall> calls = [];
        Dictionary<string, (string Text, int Line)> begun = [];
        for (int i = 0; i < lines.Length; i++)
        {
            int space = lines[i].IndexOf(' ', StringComparison.Ordinal);
            if (space < 0)
            {
                continue;
            }

            (string thread, string text, int begin) = (lines[i][..space], lines[i][space..].TrimStart(), i);
            if (text.EndsWith(Unfinished, StringComparison.Ordinal))
            {
                begun[thread] = (text[..^Unfinished.Length], i);
                continue;
            }

            if (Resumed().Match(text) is { Success: true } resumed && begun.Remove(thread, out (string Text, int Line) start))
            {
                (text, begin) = (start.Text + text[resumed.Length..], start.Line);
            }

            if (Whole().Match(text) is { Success: true } call)
            {
                calls.Add(new StraceCall(call.Groups["name"].Value, call.Groups["file"].Value, call.Groups["arguments"].Value,
                    long.Parse(call.Groups["result"].Value, CultureInfo.InvariantCulture), begin, i));
            }
        }

        return [.. calls];
    }

    [GeneratedRegex(@"^<\.\.\. \w+ resumed>")]
    private static partial Regex Resumed();

    [GeneratedRegex(@"^(?<name>\w+)\((?<arguments>(\d+<(?<file>[^>]*)>)?.*)\)\s+= (?<result>-?\d+)")]
    private static partial Regex Whole();
}
