using Postwright.Commands.Postmulti;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;

namespace Postwright.Commands;

/// <summary>
/// postfix(1): starts, stops and looks after the mail system. Says what it does as <c>postfix/postfix-script: ...</c> on standard
/// error and in the mail log, and ends with 0 or 1, as Postfix's does. Reserved for root, unless <c>-c</c> names a configuration
/// whose mail_owner is the caller: then everything runs as that user.
/// </summary>
internal static class PostfixCommand
{
    private const string Commands = "start (or stop, reload, abort, flush, check, status, set-permissions, upgrade-configuration, logrotate)";

    private const string Usage = """
        usage: postfix [-v] [-c CONFIG_DIR] COMMAND
          start             check the configuration, then start the mail system
          start-fg          the same, and stay in the foreground
          stop              let what runs finish, then end
          abort             end at once
          reload            read the configuration anew; running sessions keep theirs
          flush             try to deliver all deferred mail now
          check             report errors in the configuration, wrong owners and modes
          status            say whether the mail system runs
          set-permissions   mend owners and modes of directories and programs
          logrotate         put a new maillog_file in place and compress the old one
        """;

    /// <summary>Runs it.</summary>
    public static int Run(string[] arguments)
    {
        string? directory = Environment.GetEnvironmentVariable("MAIL_CONFIG");
        bool verbose = false;
        int at = 0;
        for (; at < arguments.Length && arguments[at] is ['-', _, ..] option; at++)
        {
            switch (option)
            {
                case "-c" when at + 1 < arguments.Length:
                    directory = arguments[++at];
                    break;
                case ['-', 'c', _, ..] when option != "-c":
                    directory = option[2..];
                    break;
                case "-v" or "-vv" or "-vvv":
                    verbose = true;
                    break;
                case "-D":
                    break;
                case "--help" or "-h":
                    Console.Out.WriteLine(Usage);
                    return 0;
                default:
                    return Fail(option.StartsWith("-c", StringComparison.Ordinal)
                        ? "usage: postfix [-c config_dir] [-Dv] command"
                        : $"invalid option: {option}. usage: postfix [-c config_dir] [-Dv] command");
            }
        }

        if (at >= arguments.Length)
        {
            return Fail("usage: postfix [-c config_dir] [-Dv] command");
        }

        bool isNamed = directory is not null;
        directory = ConfigurationChoice.DirectoryOf(directory);
        directory = directory.Length == 0 ? directory : Path.GetFullPath(directory);
        Environment.SetEnvironmentVariable("MAIL_CONFIG", directory);
        if (verbose)
        {
            Environment.SetEnvironmentVariable("MAIL_VERBOSE", "");
        }

        if (ConfigurationFile.WhyUnreadable(ConfigurationFile.In(directory, "main.cf")) is { } unreadable)
        {
            return Fail(unreadable);
        }

        MailConfiguration configuration = MailConfiguration.Load(directory);
        if (!isNamed && MultiInstanceWrapper.IsUsed(configuration, arguments[at]))
        {
            return MultiInstanceWrapper.Run(configuration, arguments[at..]);
        }

        using PostfixInstance? instance = PostfixInstance.Open(configuration, out string? error);
        if (instance is null)
        {
            return Fail(error!);
        }

        instance.RemindOfLevel();
        return Dispatch(instance, arguments[at], arguments[(at + 1)..]);
    }

    private static int Dispatch(PostfixInstance instance, string command, string[] rest) => command switch
    {
        "start" => PostfixStart.Start(instance),
        "start-fg" => PostfixStart.StartInForeground(instance),
        "stop" => PostfixStop.Stop(instance),
        "abort" => PostfixStop.Abort(instance),
        "reload" => PostfixStop.Reload(instance),
        "status" => PostfixStop.Status(instance),
        "flush" => PostfixStop.Flush(instance),
        "check" => PostfixCheck.Check(instance),
        "set-permissions" or "upgrade-configuration" => PostfixPermissions.Set(instance, rest),
        "logrotate" => PostfixLogrotate.Run(instance, rest),
        _ => instance.Fatal($"unknown command: '{command}'. Usage: postfix {Commands}"),
    };

    private static int Fail(string text)
    {
        Console.Error.WriteLine($"postfix: fatal: {text}");
        return 1;
    }
}
