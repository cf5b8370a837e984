using Postwright.Core.Configuration;

namespace Postwright.Commands.Postmulti;

/// <summary>An instance as postmulti sees it: where it is, what it is called, whether the multi-instance commands touch it.</summary>
/// <param name="Directory">Where main.cf is; the instance's identity.</param>
/// <param name="Name">multi_instance_name; empty for none.</param>
/// <param name="Group">multi_instance_group; empty for none.</param>
/// <param name="IsEnabled">multi_instance_enable; the primary one always counts where there is no other.</param>
/// <param name="IsPrimary">True for the default instance.</param>
/// <param name="QueueDirectory">queue_directory.</param>
/// <param name="DataDirectory">data_directory.</param>
internal sealed record MailInstance(
    string Directory, string Name, string Group, bool IsEnabled, bool IsPrimary, string QueueDirectory, string DataDirectory)
{
    /// <summary>What no two instances may have in common, by parameter.</summary>
    public IEnumerable<(string Parameter, string Value)> Own =>
    [
        ("config_directory", Directory), ("queue_directory", QueueDirectory), ("data_directory", DataDirectory), ("multi_instance_name", Name),
    ];

    /// <summary>Reads what counts of a configuration.</summary>
    public static MailInstance Of(MailConfiguration configuration, bool isPrimary) => new(
        configuration.ConfigDirectory,
        configuration.GetString("multi_instance_name"),
        configuration.GetString("multi_instance_group"),
        configuration.GetBool("multi_instance_enable"),
        isPrimary,
        configuration.GetString("queue_directory"),
        configuration.GetString("data_directory"));

    /// <summary>True if -i means this one: by name, by directory, or <c>-</c> for the primary one.</summary>
    public bool IsNamed(string name) => name == "-" ? IsPrimary : name.StartsWith('/') ? Directory == name : Name.Length > 0 && Name == name;

    /// <summary>What another instance has too, in postmulti's words; null if nothing.</summary>
    public string? ConflictWith(MailInstance other)
    {
        foreach ((string parameter, string value) in Own.Where(own => own.Value.Length > 0))
        {
            foreach ((string otherParameter, string otherValue) in other.Own)
            {
                bool bothPaths = (parameter == "multi_instance_name") == (otherParameter == "multi_instance_name");
                if (bothPaths && value == otherValue)
                {
                    return $"instance {Directory}, {parameter}={value} conflicts with instance {other.Directory}, {otherParameter}={otherValue}";
                }
            }
        }

        return null;
    }
}
