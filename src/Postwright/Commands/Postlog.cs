using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;

namespace Postwright.Commands;

/// <summary>
/// postlog(1): logs its arguments, or the lines of its standard input, to the mail log and to standard error. It may run set-gid,
/// so nothing that the caller says is trusted; a tag and a priority are all that it may choose.
/// </summary>
internal static class Postlog
{
    /// <summary>A line of input is cut here.</summary>
    private const int LongestLine = 2048;

    /// <summary>A tag is a program's name.</summary>
    private const int LongestTag = 100;

    /// <summary>Runs the command.</summary>
    public static int Run(string[] args)
    {
        var messages = new CommandMessages("postlog", Console.Error, fatalStatus: 1);
        var options = new GetOpt("postlog", args, "c:ip:t:v", Console.Error);
        string? directory = null;
        string? tag = null;
        LogLevel level = LogLevel.Info;
        bool withProcess = false;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case 'c':
                    directory = options.Argument;
                    break;
                case 'i':
                    withProcess = true;
                    break;
                case 'p' when LevelOf(options.Argument) is { } named:
                    level = named;
                    break;
                case 'p':
                    return messages.Fatal($"invalid severity \"{options.Argument}\"");
                case 't':
                    tag = options.Argument.Length > LongestTag ? options.Argument[..LongestTag] : options.Argument;
                    break;
                case 'v':
                    break;
                default:
                    return messages.Fatal("usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]");
            }
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        return Log(configuration, tag ?? $"{configuration.GetString("syslog_name")}/postlog", level, withProcess, options.Operands);
    }

    private static int Log(MailConfiguration configuration, string tag, LogLevel level, bool withProcess, IReadOnlyList<string> words)
    {
        using MailLogDestination? destination = CommandLog.Destination(configuration);
        var shown = new CommandMessages(withProcess ? $"{tag}[{Environment.ProcessId}]" : tag, Console.Error, fatalStatus: 0);
        if (destination is not null)
        {
            shown.LogTo(new MailLog(destination, tag, Environment.ProcessId));
        }

        if (words.Count > 0)
        {
            Say(shown, level, string.Join(' ', words));
            return 0;
        }

        while (Console.In.ReadLine() is { } line)
        {
            Say(shown, level, line.Length > LongestLine ? line[..LongestLine] : line);
        }

        return 0;
    }

    private static void Say(CommandMessages shown, LogLevel level, string text)
    {
        switch (level)
        {
            case LogLevel.Warning:
                shown.Warning(text);
                break;
            case LogLevel.Error:
                shown.Error(text);
                break;
            case LogLevel.Fatal or LogLevel.Panic:
                _ = shown.Fatal(text);
                break;
            default:
                shown.Info(text);
                break;
        }
    }

    private static LogLevel? LevelOf(string name) => name switch
    {
        "info" => LogLevel.Info,
        "warn" or "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "fatal" => LogLevel.Fatal,
        "panic" => LogLevel.Panic,
        _ => null,
    };
}
