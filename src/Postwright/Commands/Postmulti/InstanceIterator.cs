using System.ComponentModel;
using System.Diagnostics;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands.Postmulti;

/// <summary>postmulti -l, -p and -x: the same for each selected instance, one after the other; 1 if one of them failed.</summary>
internal sealed class InstanceIterator(MailInstances instances, PostmultiOptions options, CommandMessages messages)
{
    public int Run()
    {
        IReadOnlyList<MailInstance> selected = instances.Select(options);
        bool reverse = options.Reverse || (options.Mode == PostmultiMode.Postfix && IsOneOf("postmulti_stop_commands"));
        int failed = 0;
        foreach (MailInstance instance in reverse ? selected.Reverse() : selected)
        {
            failed |= options.Mode == PostmultiMode.List ? List(instance) : RunFor(instance);
        }

        if (selected.Count == 0 && options.Mode != PostmultiMode.List)
        {
            return messages.Fatal("No matching instances");
        }

        return failed;
    }

    private static int List(MailInstance instance)
    {
        static string Shown(string text) => text.Length > 0 ? text : "-";
        Console.Out.Write($"{Shown(instance.Name),-15} {Shown(instance.Group),-15} {(instance.IsEnabled ? "y" : "n"),-9} {instance.Directory}\n");
        return 0;
    }

    private int RunFor(MailInstance instance)
    {
        if (options.Mode == PostmultiMode.Execute)
        {
            return Start(instance, new ProcessStartInfo(options.Command[0], options.Command.Skip(1)));
        }

        string[] command = [.. options.Command];
        if (!instance.IsEnabled)
        {
            if (IsOneOf("postmulti_stop_commands") || IsOneOf("postmulti_control_commands"))
            {
                return 0;
            }

            command[0] = IsOneOf("postmulti_start_commands") ? "check" : command[0];
        }

        ProcessStartInfo start = SiblingProgram.Find(MailConfiguration.Load(instance.Directory), "postfix");
        foreach (string argument in (string[])["-c", instance.Directory, .. command])
        {
            start.ArgumentList.Add(argument);
        }

        return Start(instance, start);
    }

    private bool IsOneOf(string parameter) => instances.Primary.GetList(parameter).Contains(options.Command[0]);

    private int Start(MailInstance instance, ProcessStartInfo start)
    {
        start.UseShellExecute = false;
        start.Environment["MAIL_CONFIG"] = instance.Directory;
        start.Environment["MAIL_LOGTAG"] = instances.Primary.GetString("syslog_name");
        start.Environment["command_directory"] = instances.Primary.GetString("command_directory");
        start.Environment["daemon_directory"] = instances.Primary.GetString("daemon_directory");
        start.Environment["config_directory"] = instance.Directory;
        start.Environment["queue_directory"] = instance.QueueDirectory;
        start.Environment["data_directory"] = instance.DataDirectory;
        start.Environment["multi_instance_name"] = instance.Name;
        start.Environment["multi_instance_group"] = instance.Group;
        start.Environment["multi_instance_enable"] = instance.IsEnabled ? "yes" : "no";
        if (options.IsVerbose)
        {
            start.Environment["MAIL_VERBOSE"] = "";
        }

        try
        {
            using Process process = Process.Start(start)!;
            process.WaitForExit();
            return process.ExitCode == 0 ? 0 : 1;
        }
        catch (Win32Exception failure)
        {
            return messages.Fatal($"execvp {options.Command[0]}: {PosixFile.Describe(failure.NativeErrorCode)}");
        }
    }
}
