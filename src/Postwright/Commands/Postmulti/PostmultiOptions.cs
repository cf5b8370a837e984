using Postwright.Commands.Shared;

namespace Postwright.Commands.Postmulti;

/// <summary>What a postmulti command does to the instances.</summary>
internal enum PostmultiMode
{
    /// <summary>-l.</summary>
    List,

    /// <summary>-p: a command of postfix(1).</summary>
    Postfix,

    /// <summary>-x: any command.</summary>
    Execute,

    /// <summary>-e.</summary>
    Edit,
}

/// <summary>postmulti's command line. The answer is a value: the options, or the text of a fatal error.</summary>
internal sealed class PostmultiOptions
{
    private const string Letters = "ae:g:i:G:I:lpRvx";
    private const string SafePunctuation = "!@%-_=+:./";
    private const string NamePrefix = "postfix-";

    private static readonly string[] Actions = ["create", "destroy", "import", "deport", "enable", "disable", "assign", "init"];

    /// <summary>What to do.</summary>
    public PostmultiMode Mode { get; private set; }

    /// <summary>-e's argument.</summary>
    public string Action { get; private set; } = "";

    /// <summary>-a.</summary>
    public bool All { get; private set; }

    /// <summary>-g, or null.</summary>
    public string? Group { get; private set; }

    /// <summary>-i, or null.</summary>
    public string? Name { get; private set; }

    /// <summary>-G, or null; <c>-</c> for none.</summary>
    public string? NewGroup { get; private set; }

    /// <summary>-I, or null; <c>-</c> for none.</summary>
    public string? NewName { get; private set; }

    /// <summary>-R.</summary>
    public bool Reverse { get; private set; }

    /// <summary>-v.</summary>
    public bool IsVerbose { get; private set; }

    /// <summary>The command of -p and -x.</summary>
    public IReadOnlyList<string> Command { get; private set; } = [];

    /// <summary>The settings of <c>-e create</c> and <c>-e import</c>.</summary>
    public Dictionary<string, string> Overrides { get; } = new(StringComparer.Ordinal);

    /// <summary>True for an action on one instance that is there already.</summary>
    public bool SelectsExisting => Action is "destroy" or "deport" or "enable" or "disable" or "assign";

    /// <summary>Reads the command line; the text of the error, or null.</summary>
    public string? Read(string program, string[] arguments, TextWriter errors)
    {
        var getOpt = new GetOpt(program, arguments, Letters, errors);
        int modes = 0;
        while (getOpt.Next() is { } option)
        {
            if (Take(option, getOpt.Argument, ref modes) is { } trouble)
            {
                return trouble == "" ? Usage(program) : trouble;
            }
        }

        return modes != 1 ? "Specify exactly one of '-e', '-l', '-p', '-x'" : Check(getOpt.Operands);
    }

    private string? Take(char option, string argument, ref int modes)
    {
        switch (option)
        {
            case 'a':
                All = true;
                return null;
            case 'e':
                (Mode, Action, modes) = (PostmultiMode.Edit, argument, modes + 1);
                return Actions.Contains(argument) ? null
                    : $"Invalid '-e' edit action '{argument}'. Specify {string.Join(", ", Actions[..^1].Select(a => $"'{a}'"))} or '{Actions[^1]}'";
            case 'g':
                Group = argument;
                return null;
            case 'i':
                Name = argument;
                return null;
            case 'G' when NewGroup is not null:
                return "Specify at most one '-G' option";
            case 'G':
                NewGroup = argument;
                return argument.All(IsSafe) ? null : $"Unsafe characters in '-G {argument}'";
            case 'I' when NewName is not null:
                return "Specify at most one '-I' option";
            case 'I':
                NewName = argument;
                return null;
            case 'l' or 'p' or 'x':
                Mode = option switch { 'l' => PostmultiMode.List, 'p' => PostmultiMode.Postfix, _ => PostmultiMode.Execute };
                modes++;
                return null;
            case 'R':
                Reverse = true;
                return null;
            case 'v':
                IsVerbose = true;
                return null;
            default:
                return "";
        }
    }

    private string? Check(IReadOnlyList<string> operands)
    {
        if ((All ? 1 : 0) + (Group is null ? 0 : 1) + (Name is null ? 0 : 1) > 1)
        {
            // The word is Postfix's.
            return "Specity no more than one of '-a', '-g', '-i'";
        }

        bool isEdit = Mode == PostmultiMode.Edit;
        if ((NewName ?? NewGroup) is not null && (!isEdit || Action is not ("create" or "import" or "assign")))
        {
            return isEdit ? $"Cannot assign instance name or group with '-e {Action}'" : "Cannot assign instance name or group without '-e assign'";
        }

        if (Action == "assign" && (NewName ?? NewGroup) is null)
        {
            return "Specify new instance name or group with '-e assign'";
        }

        if (NewName is not null and not "-" && ExplainName(NewName) is { } wrong)
        {
            return wrong;
        }

        if (Reverse && (isEdit || Mode == PostmultiMode.Postfix))
        {
            return "The '-p' and '-e' options preclude the use of '-R'";
        }

        Command = operands;
        return Mode switch
        {
            PostmultiMode.List => operands.Count == 0 ? null : "Command not allowed with '-l'",
            PostmultiMode.Edit => CheckEdit(operands),
            _ => operands.Count > 0 ? null : "Command required with '-p' or '-x' option",
        };
    }

    private string? CheckEdit(IReadOnlyList<string> operands)
    {
        if (SelectsExisting && Name is null)
        {
            return "Select an instance via '-i name'";
        }

        if (operands.Count > 0 && Action is not ("create" or "import"))
        {
            return $"Parameter overrides not valid with '-e {Action}'";
        }

        foreach (string operand in operands)
        {
            int equals = operand.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? "" : operand[..equals].Trim();
            string value = operand[(equals + 1)..].Trim();
            string? trouble =
                equals <= 0 ? $"Malformed parameter setting '{operand}'"
                : name != "config_directory" && !(Action == "create" && name is "queue_directory" or "data_directory") ? $"Parameter '{name}' not valid with action {Action}"
                : !value.StartsWith('/') ? $"Parameter setting '{name}' is not an absolute path"
                : value.Trim('/').Length == 0 ? $"Parameter setting '{name}' is the root directory"
                : null;
            if (trouble is not null)
            {
                return trouble;
            }

            Overrides[name] = value.TrimEnd('/');
        }

        return null;
    }

    private static string? ExplainName(string name)
        => !name.All(IsSafe) ? $"Unsafe characters in new instance name: '{name}'"
            : name.Contains('/', StringComparison.Ordinal) ? $"Illegal '/' character in new instance name: '{name}'"
            : !name.StartsWith(NamePrefix, StringComparison.Ordinal) ? $"New instance name must start with '{NamePrefix}'"
            : null;

    private static bool IsSafe(char c) => char.IsAsciiLetterOrDigit(c) || SafePunctuation.Contains(c, StringComparison.Ordinal);

    private static string Usage(string program)
        => $"Usage:{program} -l [-v] [-a] [-g group] [-i instance] | {program} -p [-v] [-a] [-g group] [-i instance] command... | "
            + $"{program} -x [-v] [-a] [-i name] [-g group] command... | {program} -e action [-v] [-a] [-i name] [-g group] [-I name] [-G group] [param=value ...]";
}
