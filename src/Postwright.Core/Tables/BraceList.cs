namespace Postwright.Core.Tables;

// Lists as Postfix reads them: items are parted by commas and white space, and what is in braces stays together.

/// <summary>Splits lists whose items may be in braces.</summary>
internal static class BraceList
{
    private const string Separators = ", \t\r\n";

    /// <summary>The items of <paramref name="text"/>; braces are kept.</summary>
    public static List<string> Split(string text)
    {
        var items = new List<string>();
        int i = 0;
        while (i < text.Length)
        {
            if (Separators.Contains(text[i]))
            {
                i++;
                continue;
            }

            int start = i;
            int depth = 0;
            while (i < text.Length && (depth > 0 || !Separators.Contains(text[i])))
            {
                depth += text[i] switch { '{' => 1, '}' when depth > 0 => -1, _ => 0 };
                i++;
            }

            items.Add(text[start..i]);
        }

        return items;
    }

    /// <summary>Takes one pair of braces off; null and a reason when they do not match.</summary>
    public static string? Unwrap(string item, out string? error)
    {
        int depth = 0;
        for (int i = 0; i < item.Length; i++)
        {
            depth += item[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0)
            {
                error = i + 1 == item.Length ? null : $"syntax error after '}}' in \"{item}\"";
                return error is null ? item[1..i].Trim(LogicalLines.White) : null;
            }
        }

        error = $"missing '}}' in \"{item}\"";
        return null;
    }

    /// <summary>Splits <c>name = value</c> (or <c>"quoted name" = value</c>); null and a reason when it is not of that form. The name may be empty.</summary>
    public static (string Name, string Value)? NameValue(string item, out string? error)
    {
        bool quoted = false;
        for (int i = 0; i < item.Length; i++)
        {
            if (item[i] == '\\')
            {
                i++;
            }
            else if (item[i] == '"')
            {
                quoted = !quoted;
            }
            else if (item[i] == '=' && !quoted)
            {
                error = null;
                return (item[..i].Trim(LogicalLines.White), item[(i + 1)..].Trim(LogicalLines.White));
            }
        }

        error = "missing '=' after attribute name";
        return null;
    }
}
