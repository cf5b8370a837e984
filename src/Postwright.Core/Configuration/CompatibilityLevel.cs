using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>A value of compatibility_level: <c>major[.minor[.patch]]</c>, each number at most 2047 where it is not the first.</summary>
internal static class CompatibilityLevel
{
    /// <summary>Packs a level into one number that sorts as levels do; false when it is none.</summary>
    public static bool TryParse(string text, out long level)
    {
        level = 0;
        string[] parts = text.Split('.');
        if (parts.Length is 0 or > 3)
        {
            return false;
        }

        for (int i = 0; i < 3; i++)
        {
            int part = 0;
            if (i < parts.Length
                && (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out part) || (i > 0 && part > 2047)))
            {
                return false;
            }

            level = (level << 11) | (uint)part;
        }

        return true;
    }
}
