using System.Runtime.InteropServices;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// Edits main.cf and master.cf in place: reads the file, makes the new text, writes it to a file beside it, syncs, renames, syncs
/// the directory; mode and owner stay. A link's target is edited, the link stays. A failure leaves the old file as it was.
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

        string modes = options.IsMaster ? "-Me, -Fe, -Pe, -X, or -# accept" : "-e, -X, or -# accepts";
        foreach (string name in options.Names)
        {
            if (name.AsSpan().ContainsAny('\n', '\r'))
            {
                return $"{modes} no multi-line input";
            }

            if (name.AsSpan().TrimStart().StartsWith('#'))
            {
                return $"{modes} no comment input";
            }

            if (!assigns && !options.IsMaster && name.AsSpan().Trim().IsEmpty)
            {
                return "-X or -# requires non-blank parameter names";
            }

            if (!assigns && name.Contains('=', StringComparison.Ordinal))
            {
                return options.IsMaster ? "-X or -# requires names without value" : "-X or -# requires parameter names without value";
            }
        }

        string path = ConfigurationFile.In(directory, options.IsMaster ? "master.cf" : "main.cf");
        string target = SystemFiles.Exists(path) ? SystemFiles.LinkTarget(path) ?? path : path;
        using EditLock? held = EditLock.Take(Path.GetDirectoryName(Path.GetFullPath(target))!, out string? reason);
        if (held is null || (reason = ConfigurationFile.ReadBytes(target, out byte[] bytes)) is not null)
        {
            string failure = ConfigurationFile.Failure(path, reason!);
            return failure.StartsWith("open", StringComparison.Ordinal) ? $"open {path} for reading: {reason}" : failure;
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
        return trouble ?? Replace(target, text);
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
                file.Write(Encoding.Latin1.GetBytes(text), 0);
                KeepOwner(path, temporary);
                SystemFiles.CopyMode(path, temporary);
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

    /// <summary>Only root may give files away; for anybody else the edit counts more than the owner.</summary>
    private void KeepOwner(string path, string temporary)
    {
        if (DeliveryFile.Stat(path, out FileFacts old) == 0 && DeliveryFile.Stat(temporary, out FileFacts made) == 0
            && (made.Uid, made.Gid) != (old.Uid, old.Gid) && DiskCalls.ChangeOwner(temporary, old.Uid, old.Gid) != 0)
        {
            warn($"{temporary}: cannot keep the owner: {DeliveryFile.ErrorText(Marshal.GetLastPInvokeError())}");
        }
    }
}
