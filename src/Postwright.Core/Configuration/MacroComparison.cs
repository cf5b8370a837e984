using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>
/// The comparisons of <c>${{a} == {b}}</c>: as numbers where both sides are all digits, else as text; with the suffix
/// <c>level</c> as compatibility levels, with <c>length</c> by length.
/// </summary>
internal static class MacroComparison
{
    /// <summary>The operators, longer ones first.</summary>
    public static readonly string[] Operators = ["==", "!=", "<=", ">=", "<", ">"];

    /// <summary>The outcome; null when a level is none.</summary>
    public static bool? Compare(string a, string b, string comparison, string suffix)
    {
        int order;
        if (suffix == "level")
        {
            if (!CompatibilityLevel.TryParse(a, out long left) || !CompatibilityLevel.TryParse(b, out long right))
            {
                return null;
            }

            order = left.CompareTo(right);
        }
        else if (suffix == "length")
        {
            order = a.Length.CompareTo(b.Length);
        }
        else if (IsNumber(a, out long left) && IsNumber(b, out long right))
        {
            order = left.CompareTo(right);
        }
        else
        {
            order = string.CompareOrdinal(a, b);
        }

        return comparison switch
        {
            "==" => order == 0,
            "!=" => order != 0,
            "<" => order < 0,
            "<=" => order <= 0,
            ">=" => order >= 0,
            _ => order > 0,
        };
    }

    private static bool IsNumber(string text, out long value)
        => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
