using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>
/// Reads master.cf: eight columns (service, type, private, unpriv, chroot, wakeup, maxproc, command with arguments). Arguments
/// in braces are one argument with their blanks; <c>-o name=value</c>, <c>-oname=value</c> and <c>-o { name = value }</c> are
/// overrides. A row that cannot be read is reported with what would be right, and left out.
/// </summary>
public static class MasterCf
{
    private const int Columns = 8;

    private static readonly string[] ColumnNames = ["service", "type", "private", "unprivileged", "chroot", "wakeup", "maxproc", "command"];

    /// <summary>The rows, in order; where a service stands twice, both, and a warning.</summary>
    /// <param name="text">The file's text.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <param name="errors">Takes what is wrong.</param>
    public static IReadOnlyList<MasterService> Parse(string text, string file, ICollection<ConfigurationError> errors)
    {
        var services = new List<MasterService>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (LogicalLine line in ConfigurationText.LogicalLines(text))
        {
            if (ConfigurationText.IsSpace(line.Text[0]))
            {
                errors.Add(new ConfigurationError(file, line.Line, ConfigurationText.LeadingSpace(line.Text), IsFatal: false));
                continue;
            }

            var problems = new List<Problem>();
            MasterService? service = ParseRow(line, file, problems);
            foreach (Problem problem in problems)
            {
                errors.Add(new ConfigurationError(file, line.Line, problem.Text)
                {
                    PostconfFatal = problem.Fatal,
                    PostconfWarning = problem.Warning,
                });
            }

            if (service is null)
            {
                continue;
            }

            if (!seen.Add(service.Name + "/" + service.Type))
            {
                errors.Add(new ConfigurationError(file, line.Line, $"duplicate master.cf entry for service \"{service.Name}/{service.Type}\": the last one counts, remove the others", IsFatal: false));
            }

            services.Add(service);
        }

        return services;
    }

    /// <summary>Something wrong in a row.</summary>
    /// <param name="Text">What is wrong and what would be right.</param>
    /// <param name="Fatal">postconf's words where they end it.</param>
    /// <param name="Warning">postconf's words where it only warns.</param>
    internal readonly record struct Problem(string Text, string? Fatal = null, string? Warning = null);

    private static MasterService? ParseRow(LogicalLine line, string file, List<Problem> problems)
    {
        List<string> words = SplitWords(line.Text, problems);
        if (words.Count < Columns)
        {
            problems.Add(new Problem(
                $"bad field count: the row has {words.Count} columns, \"{ColumnNames[words.Count]}\" is missing; a row is: service type private unpriv chroot wakeup maxproc command [arguments]",
                $"file {file}: line {line.Line}: bad field count"));
            return null;
        }

        Validate(words, line.Text, problems);
        List<string> arguments = NormalizeArguments(words[Columns..]);
        var overrides = new List<KeyValuePair<string, string>>();
        ReadOverrides(arguments, overrides, problems);

        // What postconf lets pass is still a row to show and to edit.
        return problems.TrueForAll(problem => problem.Fatal is null) ? new MasterService
        {
            Name = words[0],
            Type = words[1],
            Fields = words[2..7],
            Command = words[7],
            Arguments = arguments,
            Overrides = overrides,
            File = file,
            Line = line.Line,
        }
        : null;
    }

    /// <summary>Parts <c>-oname=value</c> into two arguments and takes the blanks around names, values and <c>=</c> away.</summary>
    internal static List<string> NormalizeArguments(List<string> words)
    {
        var arguments = new List<string>(words.Count);
        bool inOptions = true;
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            inOptions &= word.StartsWith('-') && word != "--";
            if (!inOptions || word.Length < 2 || word[1] != 'o')
            {
                arguments.Add(word);
                continue;
            }

            arguments.Add("-o");
            string? setting = word.Length > 2 ? word[2..].Trim() : ++i < words.Count ? words[i] : null;
            if (setting is { Length: > 1 } && setting[0] == '{' && setting[^1] == '}')
            {
                setting = setting[1..^1].Trim();
            }

            if (setting is not null)
            {
                arguments.Add(MainCf.SplitNameValue(setting, out string name, out string value) is null ? $"{name}={value}" : setting);
            }
        }

        return arguments;
    }

    private static void Validate(List<string> words, string row, List<Problem> problems)
    {
        void Bad(string field, string value, string text) => problems.Add(new Problem(text, $"invalid {field} field \"{value}\" in \"{row}\""));

        if (words[1] is not ("inet" or "unix" or "fifo" or "pass" or "unix-dgram"))
        {
            Bad("type", words[1], $"bad transport type: \"{words[1]}\"; it must be inet, unix, fifo, pass or unix-dgram");
        }

        for (int column = 2; column < 5; column++)
        {
            if (words[column] is not ("-" or "y" or "n"))
            {
                Bad(ColumnNames[column], words[column], $"field \"{ColumnNames[column]}\": bad value: \"{words[column]}\"; it must be y, n or -");
            }
        }

        if (words[1] == "inet" && words[2] == "y")
        {
            problems.Add(new Problem("field \"private\": an inet service cannot be private; write n"));
        }

        if (words[5] != "-" && !TimeValue.TryParse(words[5].TrimEnd('?'), 's', out _))
        {
            Bad("wakeup", words[5], $"field \"wakeup\": bad value: \"{words[5]}\"; it must be a time in seconds, with ? behind it if the service may be absent, or -");
        }

        if (words[6] != "-" && !int.TryParse(words[6], NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            Bad("process_limit", words[6], $"field \"maxproc\": bad value: \"{words[6]}\"; it must be a number, 0 for no limit, or -");
        }

        if (words[7].Contains('/', StringComparison.Ordinal))
        {
            problems.Add(new Problem($"field \"command\": \"{words[7]}\" is a path; write the program's name alone"));
        }
    }

    /// <summary>Splits a row into words; <c>{ a b }</c> is one word without its braces.</summary>
    internal static List<string> SplitWords(string text, List<Problem> problems)
    {
        var words = new List<string>();
        int at = 0;
        while (at < text.Length)
        {
            if (ConfigurationText.IsSpace(text[at]))
            {
                at++;
                continue;
            }

            int end;
            // The first seven columns never hold braces.
            if (text[at] == '{' && words.Count >= Columns)
            {
                end = MacroExpander.FindClosing(text, at);
                if (end < 0)
                {
                    string missing = $"missing '}}' in \"{text[at..]}\"";
                    problems.Add(new Problem(missing, Warning: missing));
                    words.Add(text[(at + 1)..].Trim());
                    return words;
                }

                words.Add(text[(at + 1)..end].Trim());
                int open = at;
                at = end + 1;
                while (at < text.Length && !ConfigurationText.IsSpace(text[at]))
                {
                    at++;
                }

                if (at > end + 1)
                {
                    string after = $"syntax error after '}}' in \"{text[open..at]}\"";
                    problems.Add(new Problem($"{after}: put a blank there", Warning: after));
                }

                continue;
            }

            end = at;
            while (end < text.Length && !ConfigurationText.IsSpace(text[end]))
            {
                end++;
            }

            words.Add(text[at..end]);
            at = end;
        }

        return words;
    }

    private static void ReadOverrides(List<string> arguments, List<KeyValuePair<string, string>> overrides, List<Problem> problems)
    {
        for (int i = 0; i < arguments.Count; i++)
        {
            string argument = arguments[i];
            if (argument.Length < 2 || argument[0] != '-' || argument == "--")
            {
                break;
            }

            if (argument[1] != 'o')
            {
                continue;
            }

            if (++i >= arguments.Count)
            {
                problems.Add(new Problem("the last -o has no setting behind it; write -o name=value"));
                break;
            }

            string setting = arguments[i];
            if (MainCf.SplitNameValue(setting, out string name, out string value) is { } trouble)
            {
                problems.Add(new Problem($"-o {setting}: {trouble}; write -o name=value, or -o {{ name = value }} where there are blanks"));
                continue;
            }

            overrides.Add(new KeyValuePair<string, string>(name, value));
        }
    }
}
