using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Commands.Postmap;

/// <summary>What postmap or postalias was asked to do.</summary>
internal sealed class PostmapOptions
{
    /// <summary>postmap or postalias: the name in messages.</summary>
    public required string Program { get; init; }

    public bool IsAlias => Program == "postalias";

    public string? ConfigDirectory { get; private set; }

    public string? QueryKey { get; private set; }

    public string? DeleteKey { get; private set; }

    public bool List { get; private set; }

    public bool Incremental { get; private set; }

    public bool KeepRoot { get; private set; }

    public bool DefaultMode { get; private set; }

    public bool Json { get; private set; }

    private bool _noUtf8;
    private bool _forceUtf8;

    /// <summary><c>-b</c>: body lines of the message on standard input are keys.</summary>
    public bool BodyKeys { get; private set; }

    /// <summary><c>-h</c>: its headers are.</summary>
    public bool HeaderKeys { get; private set; }

    /// <summary><c>-m</c>: with MIME.</summary>
    public bool MimeKeys { get; private set; }

    /// <summary><c>-F</c>: values are names of files whose content is stored in base64, and decoded when it is asked for.</summary>
    public bool ValuesAreFiles => (Use & TableUse.ValuesAreFiles) != 0;

    public bool Verbose { get; private set; }

    public TableUse Use { get; private set; } = TableUse.Fold;

    public DuplicateRule Duplicates { get; private set; }

    public IReadOnlyList<string> Tables { get; private set; } = [];

    /// <summary>True if keys and values must be UTF-8: of a message's lines nobody expects it unless told to (<c>-U</c>).</summary>
    public bool ChecksUtf8(MailConfiguration configuration) =>
        !_noUtf8 && (_forceUtf8 || !(BodyKeys || HeaderKeys)) && configuration.GetBool("smtputf8_enable");

    /// <summary>What the configuration adds: without UTF-8 any bytes will do, and nothing but ASCII is folded.</summary>
    public void Apply(MailConfiguration configuration) => Use |= ChecksUtf8(configuration) ? TableUse.None : TableUse.AnyBytes;

    private string Usage => IsAlias
        ? "usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file..."
        : "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...";

    /// <summary>Reads the command line, as getopt(3) does up to the first word that is no option.</summary>
    /// <exception cref="PostmapFailure">The command line is wrong.</exception>
    public void Parse(string[] arguments)
    {
        arguments = RawArguments.Of(arguments);
        int index = 0;
        for (; index < arguments.Length && arguments[index] is { Length: > 1 } word && word[0] == '-'; index++)
        {
            if (word == "--")
            {
                index++;
                break;
            }

            for (int i = 1; i < word.Length; i++)
            {
                if (word[i] is not ('c' or 'd' or 'q'))
                {
                    SetFlag(word[i]);
                    continue;
                }

                string? value = i + 1 < word.Length ? word[(i + 1)..] : index + 1 < arguments.Length ? arguments[++index] : null;
                if (value is null)
                {
                    Console.Error.WriteLine($"{Program}: option requires an argument -- '{word[i]}'");
                    throw new PostmapFailure(Usage);
                }

                SetValue(word[i], value);
                break;
            }
        }

        Tables = arguments[index..];
        if (Tables.Count == 0)
        {
            throw List ? new PostmapFailure(null) : new PostmapFailure(Usage);
        }
    }

    /// <summary>Ends the command when options do not go together.</summary>
    public void Check(Action<string> warn)
    {
        if ((BodyKeys || HeaderKeys || MimeKeys) && QueryKey != "-")
        {
            throw new PostmapFailure("specify -b -h or -m only with \"-q -\"");
        }

        if (MimeKeys && !BodyKeys && !HeaderKeys)
        {
            warn("ignoring -m option without -b or -h");
        }
    }

    private void SetValue(char option, string value)
    {
        if (option == 'c')
        {
            ConfigDirectory = value;
            return;
        }

        if (List || QueryKey is not null || DeleteKey is not null)
        {
            throw new PostmapFailure("specify only one of -s -q or -d");
        }

        QueryKey = option == 'q' ? value : null;
        DeleteKey = option == 'd' ? value : null;
    }

    private void SetFlag(char option)
    {
        switch (option)
        {
            case 'N':
                Use = (Use | TableUse.TryWithNul) & ~TableUse.TryWithoutNul;
                break;
            case 'n':
                Use = (Use | TableUse.TryWithoutNul) & ~TableUse.TryWithNul;
                break;
            case 'f':
                Use &= ~TableUse.Fold;
                break;
            case 'i':
                Incremental = true;
                break;
            case 'j':
                Json = true;
                break;
            case 'o':
                KeepRoot = true;
                break;
            case 'p':
                DefaultMode = true;
                break;
            case 'r':
                Duplicates = DuplicateRule.Replace;
                break;
            case 's':
                List = QueryKey is null && DeleteKey is null ? true : throw new PostmapFailure("specify only one of -s or -q or -d");
                break;
            case 'u':
                _noUtf8 = true;
                Use |= TableUse.AnyBytes;
                break;
            case 'v':
                Verbose = true;
                break;
            case 'w':
                Duplicates = DuplicateRule.Ignore;
                break;
            case 'b' when !IsAlias:
                BodyKeys = true;
                break;
            case 'F' when !IsAlias:
                Use |= TableUse.ValuesAreFiles;
                break;
            case 'h' when !IsAlias:
                HeaderKeys = true;
                break;
            case 'm' when !IsAlias:
                MimeKeys = true;
                break;
            case 'U' when !IsAlias:
                _forceUtf8 = true;
                break;
            default:
                Console.Error.WriteLine($"{Program}: invalid option -- '{option}'");
                throw new PostmapFailure(Usage);
        }
    }
}

/// <summary>Ends the command: the text goes to standard error as <c>fatal:</c>, the exit status is 1.</summary>
internal sealed class PostmapFailure(string? text) : Exception(text)
{
    /// <summary>The text, or null when there is nothing to say.</summary>
    public string? Text { get; } = text;
}
