namespace Postwright.Commands.Shared;

/// <summary>
/// getopt(3) as Postfix's commands use it: single letters, clustered or not, options before the first other argument,
/// <c>--</c> ends them. An unknown option is told to standard error in the C library's words and given as <c>?</c>.
/// </summary>
/// <param name="program">The command's name, for messages.</param>
/// <param name="arguments">Its arguments. They may be replaced while they are read.</param>
/// <param name="options">The letters, each followed by a colon if it takes an argument.</param>
/// <param name="error">Where messages go.</param>
internal sealed class GetOpt(string program, string[] arguments, string options, TextWriter error)
{
    private int _inCluster;

    /// <summary>The next argument to be looked at; after the last option, the first operand.</summary>
    public int Index { get; set; }

    /// <summary>The option's argument; empty if it takes none.</summary>
    public string Argument { get; private set; } = "";

    /// <summary>True between two arguments, not inside a cluster of options.</summary>
    public bool AtArgument => _inCluster == 0;

    /// <summary>The next argument, or null.</summary>
    public string? Current => Index < arguments.Length ? arguments[Index] : null;

    /// <summary>What is left after the options.</summary>
    public IReadOnlyList<string> Operands => arguments.AsSpan(Math.Min(Index, arguments.Length)).ToArray();

    /// <summary>The next option, <c>?</c> for one that is not known or lacks its argument, or null at the end.</summary>
    public char? Next()
    {
        if (_inCluster == 0)
        {
            if (Current is not { Length: > 1 } word || word[0] != '-')
            {
                return null;
            }

            if (word == "--")
            {
                Index++;
                return null;
            }

            _inCluster = 1;
        }

        string cluster = arguments[Index];
        char option = cluster[_inCluster++];
        int known = option == ':' ? -1 : options.IndexOf(option, StringComparison.Ordinal);
        bool takesArgument = known >= 0 && known + 1 < options.Length && options[known + 1] == ':';
        string rest = cluster[_inCluster..];
        if (rest.Length == 0 || takesArgument)
        {
            Index++;
            _inCluster = 0;
        }

        Argument = "";
        if (known < 0)
        {
            error.WriteLine($"{program}: invalid option -- '{option}'");
            return '?';
        }

        if (!takesArgument)
        {
            return option;
        }

        if (rest.Length == 0 && Current is null)
        {
            error.WriteLine($"{program}: option requires an argument -- '{option}'");
            return '?';
        }

        Argument = rest.Length > 0 ? rest : arguments[Index++];
        return option;
    }
}
