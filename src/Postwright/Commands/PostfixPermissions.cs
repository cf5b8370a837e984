using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// postfix set-permissions: directories and set-gid programs get the owner, group and mode that they must have.
/// upgrade-configuration has nothing to add to a configuration, so it does the same.
/// </summary>
internal static class PostfixPermissions
{
    private const UnixFileMode SetGidMode = UnixFileMode.SetGroup | UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private static readonly string[] SetGidPrograms = ["postdrop", "postqueue", "postlog"];

    /// <summary>The command.</summary>
    public static int Set(PostfixInstance instance, string[] arguments)
    {
        if (arguments.Length > 0)
        {
            return instance.Fatal("set-permissions takes no name=value arguments: set them in main.cf first");
        }

        if (!InstanceDirectories.SetPermissions(instance.QueueDirectory, instance.DataDirectory, instance.Owners, out string? error))
        {
            return instance.Fatal(error!);
        }

        if (instance.IsSingle)
        {
            return 0;
        }

        foreach (string path in Programs(instance))
        {
            if (!FileFacts.TrySet(path, 0, instance.Owners.SetGidGroup!.Value, SetGidMode, out error))
            {
                return instance.Fatal(error!);
            }
        }

        return 0;
    }

    /// <summary>Warns, in Postfix's words, of programs that lack their group or mode.</summary>
    public static void WarnPrograms(PostfixInstance instance)
    {
        foreach (string path in Programs(instance))
        {
            if (!FileFacts.TryRead(path, out FileFacts facts))
            {
                continue;
            }

            if (facts.Group != instance.Owners.SetGidGroup)
            {
                instance.Log.Warning($"not owned by group {instance.Owners.SetGidGroupName}: {path}");
            }

            if (!facts.Mode.HasFlag(UnixFileMode.SetGroup | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute))
            {
                instance.Log.Warning($"not set-gid or not owner+group+world executable: {path}");
            }
        }
    }

    // A link to the multi-call program must never become set-gid: the caller chooses which command such a program is.
    private static IEnumerable<string> Programs(PostfixInstance instance) => SetGidPrograms
        .Select(name => Path.Combine(instance.Configuration.GetString("command_directory"), name))
        .Where(path => File.Exists(path) && new FileInfo(path).LinkTarget is null);
}
