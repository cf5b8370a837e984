using System.ComponentModel;
using System.Diagnostics;
using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands.Shared;

/// <summary>
/// Another command of ours, to be run by this one: in command_directory where main.cf names it, else beside this
/// program's own file (so that a copy in any directory works), else in command_directory's default. Never used by a
/// program that lends its group.
/// </summary>
internal static class SiblingProgram
{
    /// <summary>How to start <paramref name="tool"/>: its path as messages show it, ready for arguments.</summary>
    public static ProcessStartInfo Find(MailConfiguration configuration, string tool)
    {
        string path = Path.Combine(configuration.GetString("command_directory"), tool);
        string? own = Path.GetDirectoryName(Environment.ProcessPath);
        var start = new ProcessStartInfo(path) { UseShellExecute = false };
        if (!configuration.IsSet("command_directory") && own is not null)
        {
            string beside = Path.Combine(own, tool);
            string multiCall = Path.Combine(own, "postwright");
            if (File.Exists(beside))
            {
                start.FileName = beside;
            }
            else if (File.Exists(multiCall))
            {
                start.FileName = multiCall;
                start.ArgumentList.Add(tool);
            }
        }

        return start;
    }

    /// <summary>How to start a part of the multi-call program that has no name of its own.</summary>
    public static ProcessStartInfo FindMultiCall(MailConfiguration configuration, string part)
    {
        string? own = Path.GetDirectoryName(Environment.ProcessPath);
        string beside = Path.Combine(own ?? "/", "postwright");
        string path = File.Exists(beside) ? beside : Path.Combine(configuration.GetString("command_directory"), "postwright");
        return new ProcessStartInfo(path, [part]) { UseShellExecute = false };
    }

    /// <summary>Tells the other command which configuration counts, unless it is the default one.</summary>
    public static void AddConfiguration(ProcessStartInfo start, MailConfiguration configuration)
    {
        if (configuration.ConfigDirectory != ConfigurationChoice.DefaultDirectory)
        {
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add(Path.GetFullPath(configuration.ConfigDirectory));
        }
    }

    /// <summary>Runs it in our place, with our standard streams.</summary>
    /// <returns>Its exit status.</returns>
    public static int Run(ProcessStartInfo start, CommandMessages messages)
    {
        try
        {
            using Process process = Process.Start(start)!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (Win32Exception failure)
        {
            return messages.Fatal($"execvp {start.FileName}: {PosixFile.Describe(failure.NativeErrorCode)}");
        }
    }
}
