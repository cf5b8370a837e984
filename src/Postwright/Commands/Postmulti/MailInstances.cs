using Postwright.Commands.Shared;
using Postwright.Core.Configuration;

namespace Postwright.Commands.Postmulti;

/// <summary>
/// The primary instance and those that its multi_instance_directories names, in that order. Where the primary one is not
/// enabled for multi-instance commands, it stands alone.
/// </summary>
internal sealed class MailInstances
{
    private MailInstances(MailConfiguration primary, List<MailInstance> all)
    {
        Primary = primary;
        All = all;
    }

    /// <summary>The primary instance's configuration.</summary>
    public MailConfiguration Primary { get; }

    /// <summary>The instances; the primary one first.</summary>
    public IReadOnlyList<MailInstance> All { get; }

    /// <summary>All but the primary one.</summary>
    public IEnumerable<MailInstance> Secondary => All.Skip(1);

    /// <summary>Reads all of them; null after a fatal message.</summary>
    public static MailInstances? Load(CommandMessages messages)
    {
        string directory = ConfigurationChoice.DirectoryOf(null).TrimEnd('/');
        if (!File.Exists($"{directory}/main.cf"))
        {
            messages.Fatal($"open {directory}/main.cf: No such file or directory");
            return null;
        }

        if (directory != ConfigurationChoice.DefaultDirectory)
        {
            messages.Fatal($"Non-default configuration directory: config_directory={directory}");
            return null;
        }

        MailConfiguration primary = MailConfiguration.Load(directory);
        IReadOnlyList<string> directories = primary.GetList("multi_instance_directories");
        MailInstance first = MailInstance.Of(primary, isPrimary: true);
        List<MailInstance> all = [directories.Count == 0 ? first with { IsEnabled = true } : first];
        foreach (string one in directories)
        {
            if (LoadOne(one, primary, messages) is not { } instance || !IsAlone(instance, all, messages))
            {
                return null;
            }

            all.Add(instance);
        }

        return new MailInstances(primary, all);
    }

    /// <summary>Reads one; null after a fatal message.</summary>
    public static MailInstance? LoadOne(string directory, MailConfiguration primary, CommandMessages messages)
    {
        if (!directory.StartsWith('/'))
        {
            messages.Fatal($"Invalid multi_instance_directories element: '{directory}': specify an absolute pathname");
            return null;
        }

        if (!File.Exists($"{directory}/main.cf"))
        {
            messages.Stderr.WriteLine($"{primary.GetString("command_directory")}/postconf: fatal: open {directory}/main.cf: No such file or directory");
            messages.Fatal($"Failed to obtain all required {directory}/main.cf parameters");
            return null;
        }

        return MailInstance.Of(MailConfiguration.Load(directory), isPrimary: false);
    }

    /// <summary>False, after a fatal message, if another instance has something that must be this one's alone.</summary>
    public static bool IsAlone(MailInstance instance, IEnumerable<MailInstance> others, CommandMessages messages)
    {
        foreach (MailInstance other in others)
        {
            if (instance.ConflictWith(other) is { } conflict)
            {
                messages.Fatal(conflict);
                return false;
            }
        }

        return true;
    }

    /// <summary>Those that the command line selects, in order.</summary>
    public IReadOnlyList<MailInstance> Select(PostmultiOptions options)
        => [.. All.Where(one => options.Name is { } name ? one.IsNamed(name) : options.Group is not { } group || one.Group == group)];
}
