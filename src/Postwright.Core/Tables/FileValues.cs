namespace Postwright.Core.Tables;

// Values that stand for files (postmap -F, and tables of keys and certificates): the value in the source is a list of file
// names, what is stored is their contents, with a newline between them, in base64.

/// <summary>Contents of files as table values.</summary>
internal static class FileValues
{
    /// <summary>The most that a value may hold, against a name of something endless.</summary>
    private const long MaxSize = 16 << 20;

    /// <summary>The contents of the files in the list <paramref name="names"/>, in base64; null and a reason when one cannot be read.</summary>
    public static string? Encode(string names, out string? error)
    {
        using var content = new MemoryStream();
        List<string> files = Split(names);
        foreach (string name in files)
        {
            if (content.Length > 0)
            {
                content.WriteByte((byte)'\n');
            }

            error = Append(name, content);
            if (error is not null)
            {
                return null;
            }
        }

        error = files.Count == 0 ? "empty pathname list" : null;
        return error is null ? Convert.ToBase64String(content.GetBuffer(), 0, (int)content.Length) : null;
    }

    /// <summary>What a stored value holds; null when it is not in base64.</summary>
    public static string? Decode(string value)
    {
        // Whatever is short of three bytes must say so with "=".
        byte[] bytes = new byte[value.Length];
        return value.AsSpan().ContainsAny(" \t\r\n") || !Convert.TryFromBase64String(value, bytes, out int count)
            ? null
            : TableText.Decode(bytes.AsSpan(0, count));
    }

    private static List<string> Split(string names) =>
        [.. names.Split([' ', ',', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries)];

    private static string? Append(string name, MemoryStream content)
    {
        try
        {
            using Stream? file = TableFile.Open(name, out string? trouble);
            if (file is null)
            {
                return trouble == "Is a directory" ? $"read {name}: {trouble}" : $"open {name}: {trouble}";
            }

            byte[] buffer = new byte[8192];
            for (int count; (count = file.Read(buffer)) > 0;)
            {
                content.Write(buffer, 0, count);
                if (content.Length > MaxSize)
                {
                    return $"read {name}: larger than {MaxSize} bytes";
                }
            }

            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"open {name}: {e.Message}";
        }
    }
}
