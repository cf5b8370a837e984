using Postwright.Core.Logging;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>Who may own what in an instance. Numbers, since the names were looked up once.</summary>
/// <param name="Root">The user of what only root may change: 0, or the caller where everything runs as one user.</param>
/// <param name="MailOwner">The user of <c>mail_owner</c>, its name for messages beside it.</param>
/// <param name="MailOwnerName"><c>mail_owner</c>.</param>
/// <param name="MailGroup">The group of <c>mail_owner</c>.</param>
/// <param name="SetGidGroup">The group of <c>setgid_group</c>; null where everything runs as one user.</param>
/// <param name="SetGidGroupName"><c>setgid_group</c>.</param>
public sealed record InstanceOwners(uint Root, uint MailOwner, string MailOwnerName, uint MailGroup, uint? SetGidGroup, string SetGidGroupName);

/// <summary>
/// The directories that a running system needs, one row each with owner, group and mode, as Postfix's postfix-files has them:
/// made where they are missing at start and check, mended by set-permissions, looked over by check. What is group-writable on
/// purpose (maildrop) says so in its mode.
/// </summary>
public static class InstanceDirectories
{
    private const string Root = "root";
    private const string Mail = "mail";

    private static readonly (string Path, string Owner, bool SetGid, int Octal)[] Rows =
    [
        ("", Root, false, 755),
        ("pid", Root, false, 755),
        ("spool", Mail, false, 700),
        ("corrupt", Mail, false, 700),
        ("private", Mail, false, 700),
        ("public", Mail, true, 710),
        ("maildrop", Mail, true, 730),
    ];

    /// <summary>Makes what is missing, with its owner and mode. False, and the first failure, if that is not possible.</summary>
    public static bool CreateMissing(string queueDirectory, string dataDirectory, InstanceOwners owners, out string? error) =>
        Apply(queueDirectory, dataDirectory, owners, onlyMissing: true, out error);

    /// <summary>The same, and gives existing directories their owner, group and mode back.</summary>
    public static bool SetPermissions(string queueDirectory, string dataDirectory, InstanceOwners owners, out string? error) =>
        Apply(queueDirectory, dataDirectory, owners, onlyMissing: false, out error);

    /// <summary>Warns of wrong owners, groups and modes, in Postfix's words.</summary>
    public static void Warn(string queueDirectory, string dataDirectory, string configDirectory, InstanceOwners owners, MailLog log)
    {
        foreach ((string path, string owner, bool setGid, int octal) in Rows)
        {
            string full = Path.Combine(queueDirectory, path);
            if (!FileFacts.TryRead(full, out FileFacts facts))
            {
                continue;
            }

            WarnOwner(full, facts, owner == Root ? owners.Root : owners.MailOwner, owner == Root ? Root : owners.MailOwnerName, log);
            if (setGid && owners.SetGidGroup is uint group && facts.Group != group)
            {
                log.Warning($"not owned by group {owners.SetGidGroupName}: {full}");
            }

            WarnWritable(full, facts, ModeOf(octal) & OthersWrite, log);
        }

        if (FileFacts.TryRead(dataDirectory, out FileFacts data))
        {
            WarnOwner(dataDirectory, data, owners.MailOwner, owners.MailOwnerName, log);
            WarnWritable(dataDirectory, data, UnixFileMode.None, log);
        }

        foreach (string file in ConfigurationFiles(configDirectory))
        {
            if (FileFacts.TryRead(file, out FileFacts facts))
            {
                WarnOwner(file, facts, owners.Root, Root, log);
                WarnWritable(file, facts, UnixFileMode.None, log);
            }
        }
    }

    private const UnixFileMode OthersWrite = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    private static UnixFileMode ModeOf(int octal) => (UnixFileMode)(((octal / 100) << 6) | ((octal / 10 % 10) << 3) | (octal % 10));

    private static void WarnOwner(string path, FileFacts facts, uint owner, string name, MailLog log)
    {
        if (facts.User != owner)
        {
            log.Warning($"not owned by {name}: {path}");
        }
    }

    private static void WarnWritable(string path, FileFacts facts, UnixFileMode allowed, MailLog log)
    {
        if ((facts.Mode & OthersWrite & ~allowed) != 0)
        {
            log.Warning($"group or other writable: {path}");
        }
    }

    // A bound, since somebody may have put a mail store there; a configuration has a few dozen files.
    private static IEnumerable<string> ConfigurationFiles(string configDirectory)
    {
        EnumerationOptions everything = new() { RecurseSubdirectories = true, MaxRecursionDepth = 3, AttributesToSkip = FileAttributes.ReparsePoint };
        return Directory.Exists(configDirectory)
            ? Directory.EnumerateFileSystemEntries(configDirectory, "*", everything).Prepend(configDirectory).Take(1000)
            : [];
    }

    private static bool Apply(string queueDirectory, string dataDirectory, InstanceOwners owners, bool onlyMissing, out string? error)
    {
        foreach ((string path, string owner, bool setGid, int octal) in Rows)
        {
            uint user = owner == Root ? owners.Root : owners.MailOwner;
            uint? group = setGid ? owners.SetGidGroup : owner == Root ? null : owners.MailGroup;
            if (!ApplyOne(Path.Combine(queueDirectory, path), user, group, ModeOf(octal), owners, onlyMissing, out error))
            {
                return false;
            }
        }

        return ApplyOne(dataDirectory, owners.MailOwner, owners.MailGroup, ModeOf(700), owners, onlyMissing, out error);
    }

    private static bool ApplyOne(string path, uint user, uint? group, UnixFileMode mode, InstanceOwners owners, bool onlyMissing, out string? error)
    {
        error = null;
        try
        {
            bool exists = Directory.Exists(path);
            if (exists && onlyMissing)
            {
                return true;
            }

            Directory.CreateDirectory(path);
            bool privileged = owners.Root == 0 && owners.MailOwner != 0;
            if (privileged && MasterCalls.ChangeOwner(path, user, group ?? uint.MaxValue) != 0)
            {
                error = $"change owner of {path}: {MasterCalls.LastError}";
                return false;
            }

            File.SetUnixFileMode(path, mode);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            error = $"make directory {path}: {failure.Message}";
            return false;
        }
    }
}
