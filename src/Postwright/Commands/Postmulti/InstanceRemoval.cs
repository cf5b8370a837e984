using Postwright.Commands.Shared;

namespace Postwright.Commands.Postmulti;

/// <summary>
/// Takes away what <c>-e create</c> and a running instance made: directories that are empty, the spool's own files, main.cf and
/// master.cf. Whatever else is found stays, and is told of.
/// </summary>
internal sealed class InstanceRemoval(MailInstance instance, CommandMessages messages)
{
    private static readonly string[] QueueDirectories =
        ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "pid", "private", "public", "saved", "spool", "trace"];

    public void Run()
    {
        string queue = instance.QueueDirectory;
        DeleteFiles($"{queue}/spool", "*");
        DeleteFiles($"{queue}/pid", "*.pid");
        foreach (string name in QueueDirectories)
        {
            Remove($"{queue}/{name}");
        }

        Remove(instance.DataDirectory);
        Remove(queue);
        DeleteFiles(instance.Directory, "master.cf");
        DeleteFiles(instance.Directory, "main.cf");
        Remove(instance.Directory);
    }

    private static void DeleteFiles(string directory, string pattern)
    {
        if (!Directory.Exists(directory) || new DirectoryInfo(directory).LinkTarget is not null)
        {
            return;
        }

        foreach (string file in Directory.GetFiles(directory, pattern))
        {
            try
            {
                File.Delete(file);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // The directory then is not empty, which is told of.
            }
        }
    }

    private void Remove(string directory)
    {
        try
        {
            if (Directory.Exists(directory))
            {
                Directory.Delete(directory);
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            messages.Warning($"{directory}: please verify contents and remove by hand");
        }
    }
}
