using Postwright.Commands.Shared;

namespace Postwright.Commands.Sendmail;

/// <summary>What sendmail is asked to do.</summary>
internal enum SendmailMode
{
    /// <summary>Take a message.</summary>
    Enqueue,

    /// <summary>newaliases.</summary>
    NewAliases,

    /// <summary>mailq.</summary>
    Mailq,

    /// <summary>postfix start.</summary>
    Daemon,

    /// <summary>An SMTP session on standard input and output.</summary>
    Session,

    /// <summary>postqueue -f.</summary>
    Flush,

    /// <summary>Nothing (-bh, -bH).</summary>
    Ignore,
}

/// <summary>
/// sendmail's command line: what fifty years of programs call it with. Options that have no meaning here are accepted and
/// ignored, as Postfix does; the name it is called by sets the mode that its options may change.
/// </summary>
internal sealed class SendmailOptions
{
    private const string Letters = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx";

    /// <summary>An ENVID longer than this is ignored.</summary>
    private const int EnvelopeIdLimit = 100;

    private bool _daemonAsked;

    public SendmailMode Mode { get; private set; }

    /// <summary>-C, as a directory; null if not given.</summary>
    public string? ConfigDirectory { get; private set; }

    /// <summary>-f or -r; null if not given, empty for the null sender.</summary>
    public string? Sender { get; private set; }

    /// <summary>-F.</summary>
    public string? FullName { get; private set; }

    /// <summary>-B, as the attribute's value.</summary>
    public string? Encoding { get; private set; }

    /// <summary>-N, as Postfix's bits.</summary>
    public int Notify { get; private set; }

    /// <summary>-R, as Postfix's number.</summary>
    public int Return { get; private set; }

    /// <summary>-V.</summary>
    public string? EnvelopeId { get; private set; }

    /// <summary>-t.</summary>
    public bool RecipientsFromHeaders { get; private set; }

    /// <summary>Not -i or -oi.</summary>
    public bool DotEndsInput { get; private set; } = true;

    /// <summary>-G.</summary>
    public bool IsGateway { get; private set; }

    /// <summary>-v, counted.</summary>
    public int Verbosity { get; private set; }

    /// <summary>-oA.</summary>
    public string? AliasDatabase { get; private set; }

    /// <summary>-qR.</summary>
    public string? FlushSite { get; private set; }

    /// <summary>-qI.</summary>
    public string? FlushId { get; private set; }

    /// <summary>-qTIME.</summary>
    public bool QueueInterval { get; private set; }

    /// <summary>What follows the options.</summary>
    public IReadOnlyList<string> Operands { get; private set; } = [];

    /// <summary>Finds -C before anything else is read, since it says which main.cf counts.</summary>
    public static string? FindConfigDirectory(string[] args, TextWriter error)
    {
        string? directory = null;
        var options = new GetOpt("sendmail", args, Letters, error);
        while (options.Current is not null)
        {
            if (options.AtArgument && options.Current == "-q")
            {
                options.Index++;
            }
            else if (options.Next() is not { } option)
            {
                break;
            }
            else if (option == 'C')
            {
                directory = options.Argument == "main.cf" ? "."
                    : Path.GetFileName(options.Argument) == "main.cf" ? Path.GetDirectoryName(options.Argument) : options.Argument;
            }
        }

        return directory;
    }

    /// <summary>Reads the command line.</summary>
    /// <returns>The options, or null after a fatal message.</returns>
    public static SendmailOptions? Parse(string program, string[] args, CommandMessages messages)
    {
        var parsed = new SendmailOptions
        {
            Mode = program switch { "mailq" => SendmailMode.Mailq, "newaliases" => SendmailMode.NewAliases, "smtpd" => SendmailMode.Daemon, _ => SendmailMode.Enqueue },
        };
        var options = new GetOpt(program, args, Letters, messages.Stderr);
        while (options.Current is { } word)
        {
            if (options.AtArgument && word == "-q")
            {
                parsed.AskFlush(messages);
                options.Index++;
            }
            else if (options.AtArgument && IsVerp(word, args, options.Index))
            {
                messages.Fatal("unsupported: -XV");
                return null;
            }
            else if (options.Next() is not { } option)
            {
                break;
            }
            else if (!parsed.Take(option, options.Argument, program, messages))
            {
                return null;
            }
        }

        parsed.Operands = options.Operands;
        return parsed.IsConsistent(messages) ? parsed : null;
    }

    /// <summary>The three spellings of VERP: -XV, -V xy, -Vxy.</summary>
    private static bool IsVerp(string word, string[] args, int index) =>
        word == "-XV" || (word.StartsWith("-V", StringComparison.Ordinal) && word.Length == 4)
        || (word == "-V" && index + 1 < args.Length && args[index + 1].Length == 2);

    private void AskFlush(CommandMessages messages)
    {
        if (Mode == SendmailMode.Daemon)
        {
            messages.Warning("ignoring -q option in daemon mode");
        }
        else
        {
            Mode = SendmailMode.Flush;
        }
    }

    private bool Take(char option, string argument, string program, CommandMessages messages)
    {
        switch (option)
        {
            case '?':
                return Refuse(messages, $"usage: {program} [options]");
            case 'n':
                return Refuse(messages, "-n option not supported");
            case 'B':
                Encoding = argument switch { "8BITMIME" => "8bit", "7BIT" => "7bit", _ => null };
                return Encoding is not null || Refuse(messages, "-B option needs 8BITMIME or 7BIT");
            case 'C':
                ConfigDirectory = argument;
                return true;
            case 'F':
                FullName = argument;
                return true;
            case 'G':
                IsGateway = true;
                return true;
            case 'I':
                Mode = SendmailMode.NewAliases;
                return true;
            case 'N':
                TakeNotify(argument, messages);
                return true;
            case 'R':
                TakeReturn(argument, messages);
                return true;
            case 'V':
                TakeEnvelopeId(argument, messages);
                return true;
            case 'X':
                return Refuse(messages, $"unsupported: -X{argument[..1]}");
            case 'b':
                return TakeMode(argument, messages);
            case 'f' or 'r':
                Sender = argument;
                return true;
            case 'i':
                DotEndsInput = false;
                return true;
            case 'o':
                return TakeOldOption(argument, messages);
            case 'q':
                return TakeQueue(argument, messages);
            case 't':
                RecipientsFromHeaders = true;
                return true;
            case 'v':
                Verbosity++;
                return true;
            default:
                if (Verbosity > 0)
                {
                    messages.Info($"-{option} option ignored");
                }

                return true;
        }
    }

    private bool TakeMode(string argument, CommandMessages messages)
    {
        switch (argument.Length > 0 ? argument[0] : '\0')
        {
            case 'd' or 'l':
                if (Mode == SendmailMode.Flush)
                {
                    messages.Warning("ignoring -q option in daemon mode");
                }

                Mode = SendmailMode.Daemon;
                _daemonAsked = true;
                return true;
            case 'h' or 'H':
                Mode = SendmailMode.Ignore;
                return true;
            case 'i':
                Mode = SendmailMode.NewAliases;
                return true;
            case 'm':
                Mode = SendmailMode.Enqueue;
                return true;
            case 'p':
                Mode = SendmailMode.Mailq;
                return true;
            case 's':
                Mode = SendmailMode.Session;
                return true;
            default:
                return Refuse(messages, $"unsupported: -b{(argument.Length > 0 ? argument[..1] : "")}");
        }
    }

    private bool TakeOldOption(string argument, CommandMessages messages)
    {
        switch (argument.Length > 0 ? argument[0] : '\0')
        {
            case 'A':
                AliasDatabase = argument[1..];
                return AliasDatabase.Length > 0 || Refuse(messages, "-oA requires pathname");
            case 'i':
                DotEndsInput = false;
                return true;
            case '7' or '8' or 'm':
                return true;
            default:
                if (Verbosity > 0)
                {
                    messages.Info($"-o{argument[..Math.Min(1, argument.Length)]} option ignored");
                }

                return true;
        }
    }

    private bool TakeQueue(string argument, CommandMessages messages)
    {
        char kind = argument.Length > 0 ? argument[0] : '\0';
        switch (kind)
        {
            case >= '0' and <= '9':
                QueueInterval = true;
                return true;
            case 'R':
                FlushSite = argument[1..];
                return FlushSite.Length > 0 || Refuse(messages, "specify: -qRsitename");
            case 'I':
                FlushId = argument[1..];
                return FlushId.Length > 0 || Refuse(messages, "specify: -qIqueueid");
            default:
                return Refuse(messages, $"-q{kind} is not implemented");
        }
    }

    private void TakeNotify(string argument, CommandMessages messages)
    {
        Notify = NotifyBits(argument, out string? unknown);
        if (unknown is not null)
        {
            messages.Warning($"unknown DSN NOTIFY command value \"{unknown}\" in \"{argument}\"");
        }

        if (Notify == 0)
        {
            messages.Warning("bad -N option value -- ignored");
        }
    }

    /// <summary>NOTIFY as Postfix's bits (RFC 3461, 4.1); 0 for what is none, with the word that is not known.</summary>
    internal static int NotifyBits(string argument, out string? unknown)
    {
        int bits = 0;
        unknown = null;
        foreach (string word in argument.Split([',', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
        {
            int bit = word.ToLowerInvariant() switch { "never" => 1, "success" => 2, "failure" => 4, "delay" => 8, _ => 0 };
            if (bit == 0)
            {
                unknown = word;
                return 0;
            }

            bits |= bit;
        }

        // "never" goes with nothing else.
        return (bits & 1) != 0 && bits != 1 ? 0 : bits;
    }

    private void TakeReturn(string argument, CommandMessages messages)
    {
        Return = argument.ToLowerInvariant() switch { "full" => 1, "hdrs" => 2, _ => 0 };
        if (Return == 0)
        {
            messages.Warning("bad -R option value -- ignored");
        }
    }

    private void TakeEnvelopeId(string argument, CommandMessages messages)
    {
        if (argument.Length > EnvelopeIdLimit)
        {
            messages.Warning("too long -V option value -- ignored");
        }
        else if (argument.Length == 0 || argument.Any(static c => c is < ' ' or > '~'))
        {
            messages.Warning("bad syntax in -V option value -- ignored");
        }
        else
        {
            EnvelopeId = argument;
        }
    }

    private bool IsConsistent(CommandMessages messages)
    {
        if (RecipientsFromHeaders && Mode != SendmailMode.Enqueue)
        {
            return Refuse(messages, "-t can be used only in delivery mode");
        }

        if (FlushSite is not null && Mode != SendmailMode.Enqueue)
        {
            return Refuse(messages, "-qR can be used only in delivery mode");
        }

        if (FlushId is not null && Mode != SendmailMode.Enqueue)
        {
            return Refuse(messages, "-qI can be used only in delivery mode");
        }

        string? wants = (Operands.Count, Mode) switch
        {
            (0, _) or (_, SendmailMode.Ignore) => null,
            (_, SendmailMode.Enqueue) => FlushSite is not null ? "flush site requires no recipient" : FlushId is not null ? "flush queue_id requires no recipient" : null,
            (_, SendmailMode.Mailq) => "display queue mode requires no recipient",
            (_, SendmailMode.Flush) => "flush queue mode requires no recipient",
            (_, SendmailMode.Daemon) => "daemon mode requires no recipient",
            (_, SendmailMode.NewAliases) => "alias initialization mode requires no recipient",
            _ => "stand-alone mode requires no recipient",
        };
        return wants is null || (QueueInterval && !_daemonAsked) || Refuse(messages, wants);
    }

    private static bool Refuse(CommandMessages messages, string why)
    {
        messages.Fatal(why);
        return false;
    }
}
