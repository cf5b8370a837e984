using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// Edits main.cf and master.cf in place: reads the file, makes the new text, writes it to a file beside it, syncs, renames, syncs
/// the directory; mode and owner stay. A failure leaves the old file as it was.
/// </summary>
internal sealed class PostconfEditor(string directory, IDisk disk, Action<string> warn)
{
    private const string Suffix = ".tmp";

    /// <summary>Does what the command line asks; the text of a fatal error, or null.</summary>
    public string? Run(PostconfOptions options)
    {
        bool assigns = !options.Has('#') && !options.Has('X');
        if (options.Names.Count == 0)
        {
            return assigns ? "-e requires name=value argument" : "missing service argument";
        }

        if (options.Names.Exists(name => name.AsSpan().ContainsAny('\n', '\r')))
        {
            return "-e, -X, or -# accepts no multi-line input";
        }

        if (!assigns && options.Names.Find(name => name.Contains('=', StringComparison.Ordinal)) is not null && !options.IsMaster)
        {
            return $"specify one of -e {(options.Has('X') ? "-X" : "-#")}";
        }

        if (options.Has('F') && !assigns)
        {
            return $"with option -F, do not specify {(options.Has('X') ? "-X" : "-#")}";
        }

        if (options.Has('P') && options.Has('#'))
        {
            return "with option -P, do not specify -#";
        }

        string path = $"{directory}/{(options.IsMaster ? "master.cf" : "main.cf")}";
        if (ConfigurationFile.ReadBytes(path, out byte[] bytes) is { } reason)
        {
            return $"open {path} for reading: {reason}";
        }

        // A byte a character: what is not edited stays as it is, whatever its encoding.
        string old = Encoding.Latin1.GetString(bytes);
        for (int i = 0; i < options.Names.Count; i++)
        {
            options.Names[i] = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(options.Names[i]));
        }

        string? trouble = options.IsMaster
            ? new MasterCfEdit(options, warn).Apply(old, path, out string text)
            : new MainCfEdit(options, warn).Apply(old, path, out text);
        return trouble ?? Replace(path, text);
    }

    private string? Replace(string path, string text)
    {
        string temporary = path + Suffix;
        try
        {
            // One that a killed run left; nobody else may be writing it, since editing needs write access to the directory.
            disk.Delete(temporary);
            using (IDiskFile file = disk.Open(temporary, DiskOpen.CreateNew))
            {
                SystemFiles.CopyMode(path, temporary);
                file.Write(Encoding.Latin1.GetBytes(text), 0);
                file.Sync();
            }

            disk.Rename(temporary, path);
            disk.SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            return null;
        }
        catch (Exception failure) when (failure is DiskException or IOException or UnauthorizedAccessException)
        {
            return $"write {temporary}: {ConfigurationFile.Reason(failure)}";
        }
    }
}
