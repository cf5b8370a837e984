using System.Text;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// Sets (<c>-e</c>), comments out (<c>-#</c>) or removes (<c>-X</c>) settings in main.cf's text. Comments, order and all other
/// settings stay; an entry that is set takes one line, a new one goes to the end.
/// </summary>
internal sealed class MainCfEdit(PostconfOptions options, Action<string> warn)
{
    private readonly Dictionary<string, string> _wanted = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _found = new(StringComparer.Ordinal);

    public string? Apply(string old, string path, out string text)
    {
        text = "";
        bool assigns = !options.Has('#') && !options.Has('X');
        foreach (string argument in options.Names)
        {
            // With a blank behind it, it is no name of the file's.
            string name = argument.TrimStart();
            string value = "";
            if (assigns && MainCf.SplitNameValue(argument, out name, out value) is { } trouble)
            {
                return trouble;
            }

            // The order of the command line decides where new entries go.
            if (_wanted.Remove(name, out string? earlier) && assigns)
            {
                warn($"ignoring earlier request: '{name} = {earlier}'");
            }

            _wanted.Add(name, value);
        }

        var result = new StringBuilder(old.Length + 80);
        bool touched = false;
        foreach (string line in Lines(old))
        {
            if (IsBetweenLines(line))
            {
                result.Append(line);
            }
            else if (ConfigurationText.IsSpace(line[0]))
            {
                result.Append(!touched ? line : options.Has('#') ? "#" + line : "");
            }
            else
            {
                string name = line[..NameLength(line)];
                touched = _wanted.ContainsKey(name);
                result.Append(touched ? Edited(name, line, path) : line);
            }
        }

        if (assigns)
        {
            foreach ((string name, string value) in _wanted.Where(w => !_found.ContainsKey(w.Key)))
            {
                EndLine(result).Append($"{name} = {value}\n");
            }
        }

        text = result.ToString();
        return null;
    }

    private string Edited(string name, string line, string path)
    {
        int count = _found[name] = _found.GetValueOrDefault(name) + 1;
        if (count == 2)
        {
            warn($"{path}: multiple entries for \"{name}\"");
        }

        return options.Has('X') ? "" : options.Has('#') ? "#" + line : $"{name} = {_wanted[name]}\n";
    }

    private static int NameLength(string line)
    {
        int end = line.IndexOfAny([' ', '\t', '\r', '\n', '\v', '\f', '=']);
        return end < 0 ? line.Length : end;
    }

    internal static bool IsBetweenLines(string line)
    {
        string content = line.TrimStart();
        return content.Length == 0 || content[0] == '#';
    }

    internal static StringBuilder EndLine(StringBuilder text)
        => text.Length > 0 && text[^1] != '\n' ? text.Append('\n') : text;

    /// <summary>The physical lines, each with its newline.</summary>
    internal static IEnumerable<string> Lines(string text)
    {
        for (int at = 0; at < text.Length;)
        {
            int end = text.IndexOf('\n', at);
            end = end < 0 ? text.Length : end + 1;
            yield return text[at..end];
            at = end;
        }
    }
}
