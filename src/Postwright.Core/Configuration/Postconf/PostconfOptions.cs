namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// postconf's command line: options, then names or settings. The answer is a value: either the options, or the text of a
/// fatal error.
/// </summary>
internal sealed class PostconfOptions
{
    private const string WithValue = "cCoT";
    private const string Flags = "aAbdefFhHjlmMnpPqtvxX#";
    private const string Order = "aAbdefFhHjlmMnopPtTxX#";
    private const string Modes = "aAbFlmMpPtT";

    /// <summary>One of each at most; the first group that is broken is told.</summary>
    private static readonly string[] Exclusive = [Modes, "denX#", "efX#", "ehX#", "eHX#", "ejX#", "eoX#", "exX#", "hH", "hj", "Hj", "fj", "do"];

    /// <summary>What each mode has no use for.</summary>
    private static readonly (string Modes, string Options)[] Barred =
        [("aAblmtT", "defhHjnoxX#"), ("M", "dhHjn"), ("F", "dnX#"), ("P", "dn#")];

    /// <summary>The option letters that were given.</summary>
    public HashSet<char> Given { get; } = [];

    /// <summary><c>-c</c>, or null.</summary>
    public string? ConfigDirectory { get; private set; }

    /// <summary><c>-C</c>: which classes of parameters to show; null for all.</summary>
    public HashSet<string>? Classes { get; private set; }

    /// <summary><c>-o</c>, in order, as written.</summary>
    public List<string> Overrides { get; } = [];

    /// <summary><c>-T</c>, or null.</summary>
    public string? TlsQuestion { get; private set; }

    /// <summary>How often <c>-v</c> was given.</summary>
    public int Verbosity { get; private set; }

    /// <summary>What follows the options.</summary>
    public List<string> Names { get; } = [];

    /// <summary>True when the option was given.</summary>
    public bool Has(char option) => Given.Contains(option);

    /// <summary>True when one of -M, -F, -P was given.</summary>
    public bool IsMaster => Has('M') || Has('F') || Has('P');

    /// <summary>Reads the command line; the text of the error, or null.</summary>
    public string? Read(string[] arguments, string program, TextWriter errors)
    {
        int at = 0;
        for (; at < arguments.Length; at++)
        {
            string argument = arguments[at];
            if (argument == "--")
            {
                at++;
                break;
            }

            if (argument.Length < 2 || argument[0] != '-')
            {
                break;
            }

            for (int i = 1; i < argument.Length; i++)
            {
                char option = argument[i];
                if (WithValue.Contains(option, StringComparison.Ordinal))
                {
                    string? value = i + 1 < argument.Length ? argument[(i + 1)..] : ++at < arguments.Length ? arguments[at] : null;
                    if (value is null)
                    {
                        errors.WriteLine($"{program}: option requires an argument -- '{option}'");
                        return Usage(program);
                    }

                    if (ReadValue(option, value) is { } trouble)
                    {
                        return trouble;
                    }

                    break;
                }

                if (!Flags.Contains(option, StringComparison.Ordinal))
                {
                    // Postfix reserves -E and does nothing with it yet.
                    if (option != 'E')
                    {
                        errors.WriteLine($"{program}: invalid option -- '{option}'");
                    }

                    return Usage(program);
                }

                Given.Add(option);
                Verbosity += option == 'v' ? 1 : 0;
            }
        }

        Names.AddRange(arguments[at..]);
        return Conflict();
    }

    private string? ReadValue(char option, string value)
    {
        Given.Add(option);
        switch (option)
        {
            case 'c':
                ConfigDirectory = value;
                return null;
            case 'T' when TlsQuestion is not null:
                return "At most one -T <mode> option may be specified";
            case 'T':
                TlsQuestion = value;
                return null;
            case 'o':
                Overrides.Add(value);
                return null;
            default:
                return ReadClasses(value);
        }
    }

    private string? ReadClasses(string value)
    {
        Classes ??= new HashSet<string>(StringComparer.Ordinal);
        foreach (string word in value.Split([',', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
        {
            string one = word.ToLowerInvariant();
            if (one is not ("builtin" or "service" or "user" or "all"))
            {
                return $"unknown -C option value \"{word}\" in \"{value}\"";
            }

            Classes.UnionWith(one == "all" ? ["builtin", "service", "user"] : [one]);
        }

        return null;
    }

    private string? Conflict()
    {
        // A value on the command line means -e.
        bool edits = Has('e') || (Names.Count > 0 && Names[0].Contains('=', StringComparison.Ordinal) && !Has('b') && !Has('t'));
        char[] given = [.. Order.Where(option => Has(option) || (option == 'e' && edits))];
        foreach (string group in Exclusive)
        {
            char[] together = [.. given.Where(option => group.Contains(option, StringComparison.Ordinal))];
            if (together.Length > 1)
            {
                string separator = group == Modes && together is ['b', 't'] ? " and " : " ";
                return $"specify one of {string.Join(separator, together.Select(c => $"-{c}"))}";
            }
        }

        foreach ((string modes, string barred) in Barred)
        {
            char mode = modes.FirstOrDefault(Has);
            char[] wrong = [.. given.Where(option => barred.Contains(option, StringComparison.Ordinal))];
            if (mode != default && wrong.Length > 0)
            {
                return $"with option -{mode}, do not specify {string.Join(' ', wrong.Select(c => $"-{c}"))}";
            }
        }

        if (edits)
        {
            Given.Add('e');
        }

        return null;
    }

    private static string Usage(string program)
        => $"usage: {program} [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] [-c config_dir] [-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] [-h (no names)] [-H (no values)] [-j (JSON)] [-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] [-o name=value (override parameter value)] [-p (main.cf, default)] [-P (master.cf parameters)] [-q (no warnings)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] [-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";
}
