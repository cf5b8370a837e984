using System.Diagnostics;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// sendmail(1), and the names mailq and newaliases: takes a message (<see cref="MessageSubmission"/>), or runs the command that
/// does what is asked. Every fatal error exits with 75, which programs take for "try again".
/// </summary>
internal static class SendmailCommand
{
    private const int TryAgain = 75;

    /// <summary>Runs as sendmail.</summary>
    public static int Run(string[] args) => Run("sendmail", args);

    /// <summary>Runs as mailq.</summary>
    public static int RunMailq(string[] args) => Run("mailq", args);

    /// <summary>Runs as newaliases.</summary>
    public static int RunNewaliases(string[] args) => Run("newaliases", args);

    private static int Run(string program, string[] args)
    {
        var messages = new CommandMessages(program, Console.Error, TryAgain);
        string? directory = SendmailOptions.FindConfigDirectory(args, Console.Error);
        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        string queue = configuration.GetString("queue_directory");
        if (!Directory.Exists(queue))
        {
            return messages.Fatal($"chdir {queue}: No such file or directory");
        }

        _ = ProcessIdentity.SetMask(0x12); // 022
        using IDisposable? log = CommandLog.Open(configuration, messages);
        if (SendmailOptions.Parse(program, args, messages) is not { } options)
        {
            return TryAgain;
        }

        if (options.QueueInterval && options.Mode != SendmailMode.Daemon)
        {
            return 0;
        }

        return options.Mode switch
        {
            SendmailMode.Ignore => 0,
            SendmailMode.Enqueue when options.FlushSite is not null => RunTool(configuration, messages, "postqueue", "-s", options.FlushSite),
            SendmailMode.Enqueue when options.FlushId is not null => RunTool(configuration, messages, "postqueue", "-i", options.FlushId),
            SendmailMode.Enqueue => Submit(configuration, options, messages),
            SendmailMode.Mailq => RunTool(configuration, messages, "postqueue", "-p"),
            SendmailMode.Flush => RunTool(configuration, messages, "postqueue", "-f"),
            SendmailMode.Daemon => RunTool(configuration, messages, "postfix", "start"),
            SendmailMode.NewAliases => RebuildAliases(configuration, options, messages),
            _ => Session(configuration, messages),
        };
    }

    private static int Submit(MailConfiguration configuration, SendmailOptions options, CommandMessages messages) =>
        Refused(configuration, messages) is { } status ? status : new MessageSubmission(configuration, options, messages).Run(Console.OpenStandardInput());

    private static int Session(MailConfiguration configuration, CommandMessages messages) =>
        Refused(configuration, messages) is { } status
            ? status
            : new StandaloneSession(configuration, messages, Console.OpenStandardInput(), Console.OpenStandardOutput()).Run();

    /// <summary>postdrop enforces this; said here, it reads better.</summary>
    private static int? Refused(MailConfiguration configuration, CommandMessages messages)
    {
        uint uid = ProcessIdentity.RealUser;
        string? refused = UserAccess.RefusedUserAsync(configuration, "authorized_submit_users", uid).GetAwaiter().GetResult();
        return refused is null ? null : messages.Fatal($"User {refused}({uid}) is not allowed to submit mail");
    }

    private static int RebuildAliases(MailConfiguration configuration, SendmailOptions options, CommandMessages messages)
    {
        string[] databases = options.AliasDatabase is { } one ? [one] : [.. configuration.GetList("alias_database")];
        return databases.Length == 0 ? 0 : RunTool(configuration, messages, "postalias", databases);
    }

    private static int RunTool(MailConfiguration configuration, CommandMessages messages, string tool, params string[] arguments)
    {
        ProcessStartInfo start = SiblingProgram.Find(configuration, tool);
        SiblingProgram.AddConfiguration(start, configuration);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // Whatever directory the caller is in: a table's relative path is one from here.
        start.WorkingDirectory = configuration.GetString("queue_directory");
        return SiblingProgram.Run(start, messages);
    }
}
