using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Postconf;
using Postwright.Core.Posix;
using Postwright.Server.Queue.Spool;

namespace Postwright.Commands.Postmulti;

/// <summary>
/// postmulti -e: puts instances under multi-instance control, makes, takes in, removes and renames them. What is asked for is
/// checked before anything is changed. main.cf's are edited as postconf -e does.
/// </summary>
internal sealed class InstanceLifeCycle(MailInstances instances, PostmultiOptions options, CommandMessages messages)
{
    /// <summary>Where programs and documents are: what a new instance has in common with the primary one.</summary>
    private static readonly string[] SharedParameters =
    [
        "command_directory", "daemon_directory", "meta_directory", "mail_owner", "setgid_group", "sendmail_path", "mailq_path", "newaliases_path",
        "html_directory", "manpage_directory", "sample_directory", "readme_directory", "shlib_directory",
    ];

    private readonly CommandMessages _script = new($"{instances.Primary.GetString("syslog_name")}/postmulti-script", messages.Stderr, 1);

    private string PrimaryDirectory => instances.Primary.ConfigDirectory;

    public int Run()
    {
        if (options.Action == "init")
        {
            return Edit(PrimaryDirectory, "multi_instance_wrapper = ${command_directory}/postmulti -p --", "multi_instance_enable = yes");
        }

        if (options.SelectsExisting)
        {
            if (instances.All.FirstOrDefault(one => one.IsNamed(options.Name!)) is not { } instance)
            {
                return messages.Fatal($"No instance named {options.Name}");
            }

            return Explain(instance) is { } trouble ? messages.Fatal(trouble) : IsReady() ? Change(instance) : 1;
        }

        return Add();
    }

    private string? Explain(MailInstance instance) => options.Action switch
    {
        "destroy" or "deport" when instance.IsPrimary => "Cannot remove the primary instance",
        "destroy" when instance.IsEnabled => "Cannot remove enabled instances",
        "assign" => instances.All.Where(other => other != instance)
            .Select(Renamed(instance).ConflictWith).FirstOrDefault(conflict => conflict is not null),
        _ => null,
    };

    private MailInstance Renamed(MailInstance instance) => instance with { Name = options.NewName is { } name ? Cleared(name) : instance.Name };

    private static string Cleared(string name) => name == "-" ? "" : name;

    /// <summary>False, after a fatal message, before <c>-e init</c>.</summary>
    private bool IsReady()
    {
        string? trouble = instances.Primary.GetString("multi_instance_wrapper").Length == 0 ? "multi_instance_wrapper is empty"
            : !instances.Primary.GetBool("multi_instance_enable") ? "multi_instance_enable!=yes"
            : null;
        return trouble is null || _script.Fatal($"{trouble}, run 'postmulti -e init' first.") == 0;
    }

    private int Change(MailInstance instance) => options.Action switch
    {
        "enable" => Edit(instance.Directory, "multi_instance_enable = yes"),
        "disable" => Edit(instance.Directory, "multi_instance_enable = no"),
        "assign" => AssignNames(instance.Directory),
        "deport" => IsStopped(instance) ? SetDirectories(WithoutDirectory(instance.Directory), added: instance.Directory) : 1,
        _ => IsStopped(instance) ? Destroy(instance) : 1,
    };

    private bool IsStopped(MailInstance instance)
    {
        using PostfixInstance? opened = PostfixInstance.Open(MailConfiguration.Load(instance.Directory), out _);
        return opened is not { IsRunning: true } || _script.Fatal($"Instance '{instance.Directory}' is not stopped") == 0;
    }

    private int Add()
    {
        string? name = options.NewName is null or "-" ? null : options.NewName;
        string? Place(string parameter, string primary) => options.Overrides.GetValueOrDefault(parameter)
            ?? (name is null ? null : $"{Path.GetDirectoryName(primary.TrimEnd('/'))!.TrimEnd('/')}/{name}");
        if (Place("config_directory", PrimaryDirectory) is not { } directory)
        {
            return messages.Fatal("Missing config_directory parameter value");
        }

        if (FindPosition(out int position) is { } noPosition)
        {
            return messages.Fatal(noPosition);
        }

        if (instances.All.FirstOrDefault(one => one.Directory == directory) is { } same)
        {
            return messages.Fatal($"new config_directory={directory} is already in use by instance {same.Directory}, config_directory={same.Directory}");
        }

        bool exists = File.Exists($"{directory}/main.cf") && File.Exists($"{directory}/master.cf");
        MailInstance? instance = exists || options.Action == "import"
            ? MailInstances.LoadOne(directory, instances.Primary, messages)
            : new MailInstance(
                directory, name ?? "", "", IsEnabled: false, IsPrimary: false,
                Place("queue_directory", instances.Primary.GetString("queue_directory")) ?? "",
                Place("data_directory", instances.Primary.GetString("data_directory")) ?? "");
        if (instance is null || !MailInstances.IsAlone(Renamed(instance), instances.All, messages))
        {
            return 1;
        }

        foreach ((string parameter, string value) in instance.Own.Take(3).Where(own => own.Value.Length == 0))
        {
            return messages.Fatal($"Missing {parameter} parameter value");
        }

        if (!IsReady() || (!exists && !Make(instance)))
        {
            return 1;
        }

        List<string> directories = [.. instances.Secondary.Select(one => one.Directory)];
        directories.Insert(position, directory);
        return AssignNames(directory) | SetDirectories(directories, removed: directory) | SetPermissions(directory);
    }

    private string? FindPosition(out int position)
    {
        List<MailInstance> secondary = [.. instances.Secondary];
        position = options.All ? 0
            : options.Name is { } name ? secondary.FindIndex(one => one.IsNamed(name))
            : options.Group is { } group ? secondary.FindIndex(one => one.Group == group)
            : secondary.Count;
        return position < 0 ? "No matching secondary instances" : null;
    }

    /// <summary>Makes the directories, and the two files from their prototypes; master.cf last, so that it makes the instance complete.</summary>
    private bool Make(MailInstance instance)
    {
        string directory = instance.Directory;
        string meta = instances.Primary.GetString("meta_directory");
        foreach (string file in (string[])["main.cf", "master.cf"])
        {
            string? trouble = options.Action == "import" ? (File.Exists($"{directory}/{file}") ? null : $"'{directory}' lacks a {file} file")
                : File.Exists($"{meta}/{file}.proto") ? null : $"Missing {file} prototype: {meta}/{file}.proto";
            if (trouble is not null)
            {
                return _script.Fatal(trouble) == 0;
            }
        }

        try
        {
            const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            const UnixFileMode Everybody = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
            Directory.CreateDirectory(directory, Everybody);
            Directory.CreateDirectory(instance.QueueDirectory, Everybody);
            Directory.CreateDirectory(instance.DataDirectory, OwnerOnly);
            string temporary = $"{directory}/.tmp";
            Directory.CreateDirectory(temporary, OwnerOnly);
            File.Copy($"{meta}/main.cf.proto", $"{temporary}/main.cf", overwrite: true);
            if (FillMain(temporary, instance) != 0)
            {
                return false;
            }

            File.Copy($"{meta}/master.cf.proto", $"{temporary}/master.cf", overwrite: true);
            File.Move($"{temporary}/main.cf", $"{directory}/main.cf", overwrite: true);
            File.Move($"{temporary}/master.cf", $"{directory}/master.cf", overwrite: true);
            Directory.Delete(temporary);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return _script.Fatal(failure.Message) == 0;
        }
    }

    /// <summary>Programs are where the primary instance's are; there is no listener and no local submission until the administrator says so.</summary>
    private int FillMain(string directory, MailInstance instance)
    {
        ILookup<bool, string> shared = SharedParameters.ToLookup(
            name => instances.Primary.IsSet(name) && instances.Primary.GetUnexpanded(name).Length > 0);
        string[] ours =
        [
            $"queue_directory = {instance.QueueDirectory}", $"data_directory = {instance.DataDirectory}", "authorized_submit_users =",
            "master_service_disable = inet", .. shared[true].Select(name => $"{name} = {instances.Primary.GetUnexpanded(name)}"),
        ];
        return (shared[false].Any() ? Postconf(["-c", directory, "-#", .. shared[false]]) : 0) | Edit(directory, ours);
    }

    private int AssignNames(string directory)
    {
        List<string> settings = [];
        if (options.NewName is { } name)
        {
            settings.Add($"multi_instance_name = {Cleared(name)}");
        }

        if (options.NewGroup is { } group)
        {
            settings.Add($"multi_instance_group = {Cleared(group)}");
        }

        return settings.Count == 0 ? 0 : Edit(directory, [.. settings]);
    }

    private List<string> WithoutDirectory(string directory) => [.. instances.Secondary.Select(one => one.Directory).Where(one => one != directory)];

    /// <summary>Sets the primary instance's list; a directory that leaves it may still be named by -c, one that enters it needs no other permission.</summary>
    private int SetDirectories(List<string> directories, string? added = null, string? removed = null)
    {
        List<string> settings = [$"multi_instance_directories = {string.Join(' ', directories)}"];
        IReadOnlyList<string> alternate = instances.Primary.GetList("alternate_config_directories");
        if (added is not null && !alternate.Contains(added))
        {
            settings.Add($"alternate_config_directories = {string.Join(' ', alternate.Append(added))}");
        }
        else if (removed is not null && alternate.Contains(removed))
        {
            settings.Add($"alternate_config_directories = {string.Join(' ', alternate.Where(one => one != removed))}");
        }

        return Edit(PrimaryDirectory, [.. settings]);
    }

    private int SetPermissions(string directory)
    {
        using PostfixInstance? instance = PostfixInstance.Open(MailConfiguration.Load(directory), out string? error);
        return instance is null ? messages.Fatal(error!) : PostfixPermissions.Set(instance, []);
    }

    private int Destroy(MailInstance instance)
    {
        MailConfiguration configuration = MailConfiguration.Load(instance.Directory);
        try
        {
            // A spool without mail still has its files.
            using SpoolReader? spool = DirectQueue.Read(configuration);
            if (spool is not null && (spool.Entries().Count > 0 || spool.Damages.Count > 0))
            {
                return _script.Fatal($"Instance '{instance.Directory}' has mail in its queue");
            }
        }
        catch (IOException failure)
        {
            return _script.Fatal($"Instance '{instance.Directory}': {failure.Message}");
        }

        if (SetDirectories(WithoutDirectory(instance.Directory), removed: instance.Directory) != 0)
        {
            return 1;
        }

        new InstanceRemoval(instance, _script).Run();
        return 0;
    }

    private int Edit(string directory, params string[] settings) => Postconf(["-c", directory, "-e", .. settings]);

    private int Postconf(string[] arguments)
        => new PostconfProgram($"{instances.Primary.GetString("command_directory")}/postconf", Console.Out, messages.Stderr, new LinuxDisk()).Run(arguments, null);
}
