using System.Diagnostics;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;

namespace Postwright.Commands.Postmulti;

/// <summary>
/// postfix-wrapper(5): a postfix command that names no instance is handed to multi_instance_wrapper, where the primary instance
/// has others beside it; the wrapper calls postfix again for each, by name.
/// </summary>
internal static class MultiInstanceWrapper
{
    /// <summary>True if the command is not the primary instance's alone. start-fg has no others beside it.</summary>
    public static bool IsUsed(MailConfiguration primary, string command)
        => command != "start-fg" && primary.GetString("multi_instance_wrapper").Length > 0 && primary.GetList("multi_instance_directories").Count > 0;

    /// <summary>Runs it in our place; its exit status.</summary>
    public static int Run(MailConfiguration primary, string[] command)
    {
        string[] words = primary.GetString("multi_instance_wrapper").Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        var start = new ProcessStartInfo(words[0], [.. words.Skip(1), .. command]) { UseShellExecute = false };
        foreach (string parameter in (string[])["command_directory", "daemon_directory", "config_directory", "queue_directory", "data_directory", "meta_directory", "mail_owner", "setgid_group"])
        {
            start.Environment[parameter] = primary.GetString(parameter);
        }

        return SiblingProgram.Run(start, new CommandMessages("postfix", Console.Error, fatalStatus: 1));
    }
}
