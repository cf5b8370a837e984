using System.Globalization;

namespace Postwright.Simulation.Mutations;

/// <summary>One change of a source file: a text that stands there exactly once, and what takes its place.</summary>
/// <param name="File">Below the root of the project.</param>
/// <param name="Old">Whole lines.</param>
/// <param name="New">Whole lines; may be empty.</param>
internal sealed record MutationEdit(string File, string Old, string New);

/// <summary>
/// A planted fault: a bug that somebody could write, which the simulator must find. A file of <c>tests/mutations</c> holds one:
/// <c>breaks:</c> and <c>seeds:</c>, then one or more <c>file:</c> with lines as in a patch (blank, minus or plus in front).
/// </summary>
/// <param name="Name">The file's name without its extension.</param>
/// <param name="Breaks">What it breaks, in a sentence.</param>
/// <param name="Seeds">It must be found by the worlds of so many seeds, from 1 on.</param>
/// <param name="Edits">What makes it.</param>
internal sealed record Mutation(string Name, string Breaks, int Seeds, IReadOnlyList<MutationEdit> Edits)
{
    /// <summary>Reads all of a directory, in the order of their names.</summary>
    /// <exception cref="FormatException">A file that makes no sense.</exception>
    public static IReadOnlyList<Mutation> ReadAll(string directory) =>
        [.. Directory.EnumerateFiles(directory, "*.mutation").Order(StringComparer.Ordinal).Select(static file => Read(Path.GetFileNameWithoutExtension(file), File.ReadAllLines(file)))];

    /// <summary>Reads one.</summary>
    /// <exception cref="FormatException">It makes no sense.</exception>
    public static Mutation Read(string name, IReadOnlyList<string> lines)
    {
        string breaks = "";
        int seeds = 0;
        string file = "";
        List<string> hunk = [];
        List<MutationEdit> edits = [];
        foreach (string line in lines)
        {
            if (line.StartsWith("file: ", StringComparison.Ordinal))
            {
                EndHunk();
                file = line[6..];
            }
            else if (file.Length > 0 && (line.Length == 0 || line[0] is ' ' or '-' or '+'))
            {
                hunk.Add(line);
            }
            else if (line.StartsWith("breaks: ", StringComparison.Ordinal))
            {
                breaks = line[8..];
            }
            else if (line.Length > 0 && (!line.StartsWith("seeds: ", StringComparison.Ordinal) || !int.TryParse(line[7..], NumberStyles.None, CultureInfo.InvariantCulture, out seeds)))
            {
                throw new FormatException($"{name}: what is this? {line}");
            }
        }

        EndHunk();
        return breaks.Length > 0 && seeds > 0 && edits.Count > 0 ? new Mutation(name, breaks, seeds, edits) : throw new FormatException($"{name}: breaks:, seeds: or file: is missing");

        void EndHunk()
        {
            while (hunk.Count > 0 && hunk[^1].Length == 0)
            {
                hunk.RemoveAt(hunk.Count - 1);
            }

            if (file.Length > 0)
            {
                edits.Add(new MutationEdit(file, Lines('-'), Lines('+')));
            }

            hunk.Clear();
        }

        string Lines(char sign) => string.Concat(hunk.Where(line => line.Length == 0 || line[0] == ' ' || line[0] == sign).Select(static line => (line.Length == 0 ? "" : line[1..]) + "\n"));
    }

    /// <summary>Why this cannot be applied to a source tree any more; null if it can.</summary>
    public string? Misfit(string root)
    {
        foreach (MutationEdit edit in Edits)
        {
            string path = Path.Combine(root, edit.File);
            int times = File.Exists(path) ? Times(File.ReadAllText(path), edit.Old) : 0;
            if (times != 1 || edit.Old == edit.New)
            {
                return edit.Old == edit.New ? $"{edit.File}: the edit changes nothing" : $"{edit.File}: the text to replace is there {times} times, not once: the source has moved on, mend the list";
            }
        }

        return null;
    }

    /// <summary>Changes the tree; what it gives back undoes that.</summary>
    public Action Apply(string root)
    {
        Dictionary<string, string> before = [];
        foreach (MutationEdit edit in Edits)
        {
            string path = Path.Combine(root, edit.File);
            string text = File.ReadAllText(path);
            before.TryAdd(path, text);
            File.WriteAllText(path, AtLineStart(text).Replace(AtLineStart(edit.Old), AtLineStart(edit.New), StringComparison.Ordinal)[1..]);
        }

        return () =>
        {
            foreach ((string path, string text) in before)
            {
                File.WriteAllText(path, text);
            }
        };
    }

    private static int Times(string text, string part)
    {
        (text, part) = (AtLineStart(text), AtLineStart(part));
        int times = 0;
        for (int at = -1; (at = text.IndexOf(part, at + 1, StringComparison.Ordinal)) >= 0;)
        {
            times++;
        }

        return times;
    }

    /// <summary>With a line feed in front, so that only whole lines match.</summary>
    private static string AtLineStart(string text) => "\n" + text;
}
