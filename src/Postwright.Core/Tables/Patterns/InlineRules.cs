namespace Postwright.Core.Tables.Patterns;

/// <summary>Rules inside a table's name: <c>cidr:{{pattern result}, {pattern result}}</c>.</summary>
internal static class InlineRules
{
    /// <summary>The rules as lines numbered from 1; null and a reason when the braces do not match.</summary>
    public static List<LogicalLine>? Parse(string kind, string text, out string? error)
    {
        string? inside = BraceList.Unwrap(text, out error);
        if (inside is null)
        {
            error = $"{kind} map: {error}";
            return null;
        }

        var lines = new List<LogicalLine>();
        foreach (string item in BraceList.Split(inside))
        {
            if (item[0] != '{')
            {
                error = $"{kind} map: no '{{' at start of text in \"{item}\"";
                return null;
            }

            string? rule = BraceList.Unwrap(item, out error);
            if (rule is null)
            {
                error = $"{kind} map: {error}";
                return null;
            }

            if (rule.Length > 0 && rule[0] != '#')
            {
                lines.Add(new LogicalLine(lines.Count + 1, rule));
            }
        }

        error = null;
        return lines;
    }

    /// <summary>True when <paramref name="text"/> is <paramref name="word"/> in any case, alone or before what is no letter or digit.</summary>
    public static bool StartsWithWord(string text, string word) =>
        text.StartsWith(word, StringComparison.OrdinalIgnoreCase)
        && (text.Length == word.Length || !char.IsAsciiLetterOrDigit(text[word.Length]));
}
