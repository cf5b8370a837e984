namespace Postwright.Core.Tables;

// The source format of indexed files, "key whitespace value" (postmap(1)): shared by texthash: and by postmap. The key ends
// at the first white space outside double quotes and is kept in quoted form, as the lookups ask for it.

/// <summary>An entry of a table source.</summary>
internal readonly record struct SourceEntry(int Line, string Key, string Value);

/// <summary>Reads <c>key value</c> sources, with postmap's warnings.</summary>
internal static class SourceEntries
{
    /// <summary>The entries of <paramref name="lines"/>; bad lines are reported to <paramref name="warn"/> and left out.</summary>
    /// <param name="path">The file's name in warnings.</param>
    /// <param name="lines">The file's content.</param>
    /// <param name="ignored">What texthash adds to a warning and postmap does not.</param>
    /// <param name="utf8">Lines that are not UTF-8 are left out.</param>
    /// <param name="warn">Takes warnings.</param>
    public static IEnumerable<SourceEntry> Read(string path, IEnumerable<LogicalLine> lines, string ignored, bool utf8, Action<string> warn)
    {
        foreach (LogicalLine line in lines)
        {
            if (utf8 && TableText.HasStrayBytes(line.Text))
            {
                warn($"{path}, line {line.Number}: non-UTF-8 input \"{line.Text}\" -- ignoring this line");
                continue;
            }

            if (!Split(line.Text, out string key, out string value))
            {
                warn($"{path}, line {line.Number}: unbalanced '\"' in '{line.Text}' -- ignoring this line");
                continue;
            }

            if (key.Length == 0 || value.Length == 0)
            {
                warn($"{path}, line {line.Number}: expected format: key whitespace value{ignored}");
                continue;
            }

            if (key.EndsWith(':'))
            {
                warn($"{path}, line {line.Number}: record is in \"key: value\" format; is this an alias file?");
            }

            yield return new SourceEntry(line.Number, key, value);
        }
    }

    /// <summary>Splits at the first white space outside quotes; false when a quote is left open.</summary>
    public static bool Split(string text, out string key, out string value)
    {
        bool quoted = false;
        int i = 0;
        for (; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\')
            {
                i++;
            }
            else if (c == '"')
            {
                quoted = !quoted;
            }
            else if (!quoted && c is ' ' or (>= '\t' and <= '\r'))
            {
                break;
            }
        }

        i = Math.Min(i, text.Length);
        key = text[..i];
        value = text.AsSpan(i).Trim(LogicalLines.White).ToString();
        return !quoted;
    }
}
