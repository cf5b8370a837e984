namespace Postwright.Core.Configuration;

/// <summary>Takes list-valued parameters apart.</summary>
public static class ConfigurationList
{
    /// <summary>
    /// Splits on commas and white space, keeping text inside braces together (<c>inline:{{a = b c}}</c> is one element, and a
    /// restriction such as <c>{ check_policy_service unix:x, timeout=10s }</c> keeps its braces).
    /// An unbalanced brace swallows the rest, as in Postfix.
    /// </summary>
    public static IReadOnlyList<string> Split(string value)
    {
        var elements = new List<string>();
        int depth = 0;
        int start = -1;
        for (int i = 0; i < value.Length; i++)
        {
            char c = value[i];
            if (depth == 0 && c is ',' or ' ' or '\t' or '\r' or '\n' && depth == 0)
            {
                if (start >= 0)
                {
                    elements.Add(value[start..i]);
                    start = -1;
                }

                continue;
            }

            start = start < 0 ? i : start;
            depth += c == '{' ? 1 : c == '}' && depth > 0 ? -1 : 0;
        }

        if (start >= 0)
        {
            elements.Add(value[start..]);
        }

        return elements;
    }
}
