namespace Postwright.Core.Configuration;

/// <summary>Finds the names that a text refers to, without expanding it: for the warnings of unused and undefined names.</summary>
internal static class MacroReferences
{
    /// <summary>The names that a text refers to, in order, nested ones in <c>?</c> and <c>:</c> parts included.</summary>
    public static IReadOnlyList<string> In(string text)
    {
        var names = new List<string>();
        for (int at = 0; at < text.Length; at++)
        {
            if (text[at] != '$')
            {
                continue;
            }

            at++;
            if (at >= text.Length || text[at] == '$')
            {
                continue;
            }

            int start = at;
            if (text[at] is '{' or '(')
            {
                start++;
                while (start < text.Length && ConfigurationText.IsSpace(text[start]))
                {
                    start++;
                }
            }

            int end = start;
            while (end < text.Length && MacroExpander.IsNameCharacter(text[end]))
            {
                end++;
            }

            if (end > start)
            {
                names.Add(text[start..end]);
            }

            // Whatever follows inside the braces is scanned as text: it holds the nested references.
            at = Math.Max(end, at) - 1;
        }

        return names;
    }
}
