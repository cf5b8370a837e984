namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// postconf's command line: options, then names or settings. The answer is a value: either the options, or the text of a
/// fatal error.
/// </summary>
internal sealed class PostconfOptions
{
    private const string WithValue = "cCoT";
    private const string Flags = "aAbdefFhHjlmMnpPqtvxX#";

    /// <summary>The option letters that were given.</summary>
    public HashSet<char> Given { get; } = [];

    /// <summary><c>-c</c>, or null.</summary>
    public string? ConfigDirectory { get; private set; }

    /// <summary><c>-C</c>: which classes of parameters to show; empty for all.</summary>
    public HashSet<string> Classes { get; } = new(StringComparer.Ordinal);

    /// <summary><c>-o</c>, in order.</summary>
    public List<KeyValuePair<string, string>> Overrides { get; } = [];

    /// <summary><c>-T</c>, or null.</summary>
    public string? TlsQuestion { get; private set; }

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
                    errors.WriteLine($"{program}: invalid option -- '{option}'");
                    return Usage(program);
                }

                Given.Add(option);
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
            case 'T':
                TlsQuestion = value;
                return null;
            case 'o':
                if (MainCf.SplitNameValue(value, out string name, out string setting) is { } trouble)
                {
                    return $"invalid parameter override: {value}: {trouble[..trouble.LastIndexOf(':')]}";
                }

                Overrides.Add(new KeyValuePair<string, string>(name, setting));
                return null;
            default:
                foreach (string one in value.Split([',', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
                {
                    if (one is not ("builtin" or "service" or "user" or "all"))
                    {
                        return $"unknown -C option value \"{one}\" in \"{value}\"";
                    }

                    Classes.Add(one);
                }

                if (Classes.Contains("all"))
                {
                    Classes.Clear();
                }

                return null;
        }
    }

    private string? Conflict()
    {
        foreach (string group in (string[])["de#Xn", "hH", "MFPpbtalmAT", "ef", "jf"])
        {
            char[] given = [.. group.Where(Has)];
            if (given.Length > 1)
            {
                return $"specify one of {string.Join(' ', given.Select(c => $"-{c}"))}";
            }
        }

        return null;
    }

    private static string Usage(string program)
        => $"usage: {program} [-a (server SASL types)] [-A (client SASL types)] [-c config_dir] [-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] [-h (no names)] [-H (no values)] [-j (JSON)] [-l (lock types)] [-m (map types)] [-M (master.cf)] [-n (non-default parameters)] [-o name=value (override parameter value)] [-p (main.cf, default)] [-P (master.cf parameters)] [-q (no warnings)] [-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]";
}
