using System.Text;

namespace Postwright.Core.Tables.Patterns;

// The result of a pattern rule: text with $1, ${1} or $(1) for what the parentheses matched, and $$ for a dollar sign.
// Expanded results are put together as bytes: what a key matched goes in as it came.

/// <summary>A result with references to the match.</summary>
internal sealed class Replacement
{
    private readonly List<(string? Text, int Group)> _parts = [];
    private string? _constant;

    /// <summary>The highest group that is referred to; 0 when none is.</summary>
    public int HighestGroup { get; private set; }

    /// <summary>Reads a result; null when it is malformed, with Postfix's warnings (<paramref name="where"/> names file and line).</summary>
    public static Replacement? Parse(string text, string outOfRange, string where, Action<string> warn)
    {
        var replacement = new Replacement();
        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '$')
            {
                plain.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == '$')
            {
                plain.Append(text[++i]);
            }
            else if (ReadName(text, ref i, warn) is { } name && ReadIndex(name, outOfRange, where, warn) is { } group)
            {
                replacement.AddText(plain);
                replacement._parts.Add((null, group));
                replacement.HighestGroup = Math.Max(replacement.HighestGroup, group);
            }
            else
            {
                warn($"{where}bad replacement syntax: skipping this rule");
                return null;
            }
        }

        replacement.AddText(plain);
        if (replacement._parts.All(part => part.Text is not null))
        {
            replacement._constant = string.Concat(replacement._parts.Select(part => part.Text));
        }

        return replacement;
    }

    /// <summary>The result for a match of <paramref name="subject"/>; <paramref name="spans"/> holds start and end of each group, -1 for none.</summary>
    public string Expand(ReadOnlySpan<byte> subject, ReadOnlySpan<int> spans)
    {
        if (_constant is not null)
        {
            return _constant;
        }

        var bytes = new List<byte>();
        foreach ((string? text, int group) in _parts)
        {
            if (text is not null)
            {
                bytes.AddRange(TableText.Encode(text));
                continue;
            }

            int start = spans[group * 2];
            int end = spans[(group * 2) + 1];
            if (start >= 0 && end > start && end <= subject.Length)
            {
                bytes.AddRange(subject[start..end]);
            }
        }

        return TableText.Decode([.. bytes]);
    }

    private static string? ReadName(string text, ref int i, Action<string> warn)
    {
        int start = i + 1;
        char open = start < text.Length ? text[start] : '\0';
        if (open is '{' or '(')
        {
            int close = text.IndexOf(open == '{' ? '}' : ')', start);
            if (close < 0)
            {
                warn($"truncated macro reference: \"{text[i..]}\"");
                return null;
            }

            i = close;
            return text[(start + 1)..close];
        }

        int end = start;
        while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_'))
        {
            end++;
        }

        if (end == start)
        {
            warn($"empty macro name: \"{text}\"");
            return null;
        }

        i = end - 1;
        return text[start..end];
    }

    private static int? ReadIndex(string name, string outOfRange, string where, Action<string> warn)
    {
        if (name.Length is > 0 and < 6 && !name.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            int index = int.Parse(name, System.Globalization.CultureInfo.InvariantCulture);
            if (index > 0)
            {
                return index;
            }

            // The whole match is no group: a rule with it would pass every check of what a rule repeats.
            warn($"{where}{outOfRange} replacement index \"{name}\"");
            return null;
        }

        warn($"{where}non-numeric replacement index \"{name}\"");
        return null;
    }

    private void AddText(StringBuilder plain)
    {
        if (plain.Length > 0)
        {
            _parts.Add((plain.ToString(), 0));
            plain.Clear();
        }
    }
}
