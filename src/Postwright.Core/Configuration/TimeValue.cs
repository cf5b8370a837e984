using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>
/// A duration as main.cf writes it: a whole number and one of s, m, h, d, w; without a letter the parameter's own unit counts.
/// Nothing negative, nothing above what fits in 31 bits of seconds, as in Postfix.
/// </summary>
public static class TimeValue
{
    /// <summary>Reads a duration; false when the text is none.</summary>
    /// <param name="text">Such as <c>5d</c> or <c>300</c>.</param>
    /// <param name="defaultUnit">The unit of a bare number: s, m, h, d or w.</param>
    /// <param name="value">The duration.</param>
    public static bool TryParse(string text, char defaultUnit, out TimeSpan value)
    {
        value = default;
        int digits = 0;
        while (digits < text.Length && char.IsAsciiDigit(text[digits]))
        {
            digits++;
        }

        if (digits == 0 || text.Length - digits > 1
            || !long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            return false;
        }

        long seconds = char.ToLowerInvariant(digits < text.Length ? text[digits] : defaultUnit) switch
        {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604800,
            _ => 0,
        };
        if (seconds == 0 || number > int.MaxValue / seconds)
        {
            return false;
        }

        value = TimeSpan.FromSeconds(number * seconds);
        return true;
    }
}
