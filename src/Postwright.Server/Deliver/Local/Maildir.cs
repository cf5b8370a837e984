using System.Globalization;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// Delivery into a Maildir. The file is made without a name, its data written back, then linked into
/// <c>new</c> under Postfix's unique name and synced: one journal commit makes data and name durable together, and no reader and
/// no crash finds a name without its data. Where the file system knows no nameless files, the classic way over <c>tmp</c> is
/// taken, with a sync of the directory. Success means: on disk, under its name.
/// </summary>
internal static class Maildir
{
    private const uint FileMode = 0x180; // 0600
    private const uint DirectoryMode = 0x1C0; // 0700
    private const int NameTries = 3;

    /// <summary>One delivery into a Maildir.</summary>
    public sealed record Job
    {
        /// <summary>The Maildir, with or without its final slash.</summary>
        public required string Path { get; init; }

        /// <summary>The owner, as whom all is done.</summary>
        public required uint Uid { get; init; }

        /// <summary>Likewise.</summary>
        public required uint Gid { get; init; }

        /// <summary>What to write.</summary>
        public required CopySource Source { get; init; }

        /// <summary>Bytes the file may have; 0 for no limit.</summary>
        public required long SizeLimit { get; init; }

        /// <summary>The code for failures of no particular kind: 5.2.0 in local(8), 4.2.0 in virtual(8).</summary>
        public required string DefaultDsn { get; init; }

        /// <summary>For unique names.</summary>
        public required string HostName { get; init; }

        /// <summary>For unique names.</summary>
        public required TimeProvider Time { get; init; }

        /// <summary>For warnings.</summary>
        public required MailLog Log { get; init; }
    }

    /// <summary>Delivers, taking on the owner's identity.</summary>
    /// <exception cref="IOException">The message could not be read.</exception>
    /// <exception cref="IdentityLostException">The thread must end.</exception>
    public static FileOutcome Deliver(Job job)
    {
        bool denied = false;
        FileOutcome outcome;
        using (DeliveryIdentity.Assume(job.Uid, job.Gid, out bool assumed))
        {
            outcome = assumed ? Deliver(job, out denied) : Mailbox.NoIdentity(job.Uid);
        }

        // Under the process's own identity again: the log may have to be opened anew.
        if (denied)
        {
            job.Log.Warning($"maildir access problem for UID/GID={job.Uid}/{job.Gid}: {outcome.Reason}");
            job.Log.Warning("perhaps you need to create the maildirs in advance");
        }

        return outcome.IsSuccess ? outcome : outcome.Prepend("maildir delivery failed: ");
    }

    private static FileOutcome Deliver(Job job, out bool denied)
    {
        string root = job.Path.TrimEnd('/');
        string newDirectory = root + "/new";
        int descriptor = DeliveryFile.Open(newDirectory, OpenFlags.WriteOnly | OpenFlags.Nameless, FileMode);
        if (descriptor == -Errno.NoEntry)
        {
            descriptor = MakeDirectories(root);
            descriptor = descriptor < 0 ? descriptor : DeliveryFile.Open(newDirectory, OpenFlags.WriteOnly | OpenFlags.Nameless, FileMode);
        }

        denied = descriptor == -Errno.AccessDenied;
        return descriptor switch
        {
            >= 0 => DeliverNameless(job, descriptor, newDirectory),
            -Errno.NotSupported or -Errno.IsDirectory or -Errno.Invalid => DeliverThroughTmp(job, root, newDirectory),
            _ => FileOutcome.Failed(descriptor, job.DefaultDsn, $"create maildir file {newDirectory}: {DeliveryFile.ErrorText(descriptor)}"),
        };
    }

    private static FileOutcome DeliverNameless(Job job, int descriptor, string newDirectory)
    {
        try
        {
            int result = Write(job, descriptor);
            if (result < 0)
            {
                return WriteFailed(job, result);
            }

            // An error of the write-back itself is reported again by the sync below.
            _ = DeliveryFile.WriteBack(descriptor);
            for (int attempt = 1; ; attempt++)
            {
                string name = $"{newDirectory}/{UniqueName(job, descriptor)}";
                result = DeliveryFile.LinkDescriptor(descriptor, name);
                if (result == -Errno.Exists && attempt < NameTries)
                {
                    continue;
                }

                if (result < 0)
                {
                    return FileOutcome.Failed(result, job.DefaultDsn, $"link to {name}: {DeliveryFile.ErrorText(result)}");
                }

                result = DeliveryFile.Sync(descriptor);
                if (result < 0)
                {
                    // Not known to be on disk: take the name back, and let the message be tried again.
                    _ = DeliveryFile.Unlink(name);
                    return WriteFailed(job, result);
                }

                return FileOutcome.Success;
            }
        }
        finally
        {
            _ = DeliveryFile.Close(descriptor);
        }
    }

    private static FileOutcome DeliverThroughTmp(Job job, string root, string newDirectory)
    {
        string temporary = $"{root}/tmp/{job.Time.GetUtcNow().ToUnixTimeSeconds()}.P{Environment.ProcessId}T{Environment.CurrentManagedThreadId}.{job.HostName}";
        int descriptor = DeliveryFile.Open(temporary, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive, FileMode);
        if (descriptor < 0)
        {
            return FileOutcome.Failed(descriptor, job.DefaultDsn, $"create maildir file {temporary}: {DeliveryFile.ErrorText(descriptor)}");
        }

        string name = $"{newDirectory}/{UniqueName(job, descriptor)}";
        int result = Write(job, descriptor);
        result = result < 0 ? result : DeliveryFile.Sync(descriptor);
        int closed = DeliveryFile.Close(descriptor);
        result = result < 0 ? result : closed;
        FileOutcome outcome = result < 0 ? WriteFailed(job, result) : FileOutcome.Success;
        if (result >= 0)
        {
            result = DeliveryFile.Link(temporary, name);
            outcome = result < 0
                ? FileOutcome.Failed(result, job.DefaultDsn, $"link {temporary} to {name}: {DeliveryFile.ErrorText(result)}")
                : SyncDirectory(newDirectory) is < 0 and int failed ? WriteFailed(job, failed) : FileOutcome.Success;
            if (result >= 0 && !outcome.IsSuccess)
            {
                _ = DeliveryFile.Unlink(name);
            }
        }

        _ = DeliveryFile.Unlink(temporary);
        return outcome;
    }

    private static int Write(Job job, int descriptor)
    {
        long room = job.SizeLimit == 0 ? long.MaxValue : job.SizeLimit;
        return MessageCopy.Copy(job.Source, new FileSink(descriptor, room));
    }

    private static FileOutcome WriteFailed(Job job, int result)
        => FileOutcome.Failed(result, job.DefaultDsn, $"error writing message: {DeliveryFile.ErrorText(result)}");

    private static int SyncDirectory(string path)
    {
        int descriptor = DeliveryFile.Open(path, OpenFlags.ReadOnly | OpenFlags.Directory);
        if (descriptor < 0)
        {
            return descriptor;
        }

        int result = DeliveryFile.Sync(descriptor);
        _ = DeliveryFile.Close(descriptor);
        return result;
    }

    // Postfix's form; the inode makes it unique, the time makes it sort.
    private static string UniqueName(Job job, int descriptor)
    {
        _ = DeliveryFile.Stat(descriptor, out FileFacts facts);
        DateTimeOffset now = job.Time.GetUtcNow();
        long microseconds = now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond;
        return string.Create(
            CultureInfo.InvariantCulture, $"{now.ToUnixTimeSeconds()}.V{facts.Device:x}I{facts.Inode:x}M{microseconds}.{job.HostName}");
    }

    private static int MakeDirectories(string root)
    {
        // Parents too, as Postfix; each that was made is made durable by the sync of its parent.
        foreach (string path in new[] { root + "/tmp", root + "/cur", root + "/new" })
        {
            int result = MakeDirectory(path);
            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    private static int MakeDirectory(string path)
    {
        int result = DeliveryFile.MakeDirectory(path, DirectoryMode);
        string? parent = Path.GetDirectoryName(path);
        if (result == -Errno.NoEntry && parent is { Length: > 1 })
        {
            result = MakeDirectory(parent);
            result = result < 0 ? result : DeliveryFile.MakeDirectory(path, DirectoryMode);
        }

        if (result >= 0 && parent is { Length: > 0 })
        {
            _ = SyncDirectory(parent);
        }

        return result == -Errno.Exists ? 0 : result;
    }
}
