namespace Postwright.Core.Configuration;

/// <summary>A <c>name = value</c> of main.cf or of an override.</summary>
/// <param name="Name">The name; any name may be set, known or not.</param>
/// <param name="Value">The unexpanded value, blanks at both ends gone.</param>
/// <param name="File">Where it stands.</param>
/// <param name="Line">The line of the name.</param>
public sealed record Setting(string Name, string Value, string File, int Line);

/// <summary>
/// Reads main.cf. Every error is collected, none is thrown; a line that is no setting is left out. The last setting of a name
/// counts, and each earlier one is reported in Postfix's words.
/// </summary>
public static class MainCf
{
    /// <summary>The settings by name, in the order of their last appearance.</summary>
    /// <param name="text">The file's text.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="errors">Takes what is wrong.</param>
    public static Dictionary<string, Setting> Parse(string text, string file, ICollection<ConfigurationError> errors)
    {
        var settings = new Dictionary<string, Setting>(StringComparer.Ordinal);
        foreach (LogicalLine line in ConfigurationText.LogicalLines(text))
        {
            // To Postfix a line ends at a NUL, and what is before it must make sense.
            string entry = line.Text.Split('\0', 2)[0];
            if (entry.Length > 0 && ConfigurationText.IsSpace(entry[0]))
            {
                errors.Add(new ConfigurationError(file, line.Line, ConfigurationText.LeadingSpace(entry), IsFatal: false));
                continue;
            }

            if (SplitNameValue(entry, out string name, out string value) is { } trouble)
            {
                errors.Add(new ConfigurationError(file, line.Line, trouble));
                continue;
            }

            if (settings.Remove(name, out Setting? earlier))
            {
                errors.Add(new ConfigurationError(file, line.Line, $"overriding earlier entry: {name}={earlier.Value}", IsFatal: false));
            }

            settings[name] = new Setting(name, value, file, line.Line);
        }

        return settings;
    }

    /// <summary>Splits <c>name = value</c>; null when well formed, else what is wrong with it.</summary>
    public static string? SplitNameValue(string line, out string name, out string value)
    {
        name = "";
        value = "";
        int equals = line.IndexOf('=', StringComparison.Ordinal);
        string left = (equals < 0 ? line : line[..equals]).Trim();
        if (left.Length == 0)
        {
            return $"missing attribute name: \"{line}\"";
        }

        if (equals < 0)
        {
            return $"missing '=' after attribute name: \"{line}\"";
        }

        if (left.AsSpan().ContainsAny(' ', '\t'))
        {
            return $"missing '=' after attribute name: \"{line}\"";
        }

        name = left;
        value = line[(equals + 1)..].Trim();
        return null;
    }
}
