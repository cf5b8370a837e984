using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// Delivery into a mailbox file: lock (dot-lock before the open, the kernel's after it), append, sync, and cut back to the old
/// length when anything fails, so that no reader finds half a message. A symbolic link (unless root's own in a directory that
/// only root writes) and a file with several names are refused: a mailbox in a shared directory must not lead elsewhere.
/// </summary>
internal static class Mailbox
{
    private const uint NewMode = 0x180; // 0600

    /// <summary>One delivery to a mailbox file.</summary>
    public sealed record Job
    {
        /// <summary>The file.</summary>
        public required string Path { get; init; }

        /// <summary>The recipient, who owns the mailbox and writes to it.</summary>
        public required uint Uid { get; init; }

        /// <summary>Likewise.</summary>
        public required uint Gid { get; init; }

        /// <summary>Who locks and opens: the recipient, or root in a spool that only root may write.</summary>
        public required uint OpenUid { get; init; }

        /// <summary>Likewise; the spool's group where that may write.</summary>
        public required uint OpenGid { get; init; }

        /// <summary>A <c>/file</c> of an alias: need not be regular, must not be executable, and does without a dot-lock where it cannot have one.</summary>
        public bool IsDestinationFile { get; init; }

        /// <summary>strict_mailbox_ownership.</summary>
        public required bool StrictOwner { get; init; }

        /// <summary>Which locks, and how patiently.</summary>
        public required LockOptions Locks { get; init; }

        /// <summary>Bytes the mailbox may have; 0 for no limit.</summary>
        public required long SizeLimit { get; init; }

        /// <summary>The code for failures of no particular kind: 5.2.0 in local(8), 4.2.0 in virtual(8).</summary>
        public required string DefaultDsn { get; init; }

        /// <summary>What to write.</summary>
        public required CopySource Source { get; init; }

        /// <summary>The age of lock files.</summary>
        public required TimeProvider Time { get; init; }

        /// <summary>For warnings.</summary>
        public required MailLog Log { get; init; }

        /// <summary>What is to be logged once the process has its own identity back: the log may have to be opened anew.</summary>
        public List<string> Warnings { get; } = [];

        /// <summary>Ends the wait for a lock.</summary>
        public required CancellationToken CancellationToken { get; init; }
    }

    /// <summary>Delivers, taking on the identities that the job names.</summary>
    /// <exception cref="IOException">The message could not be read; the mailbox is as it was.</exception>
    /// <exception cref="IdentityLostException">The thread must end.</exception>
    public static FileOutcome Deliver(Job job)
    {
        int descriptor = -1;
        bool dotLocked = false;
        try
        {
            FileOutcome outcome;
            using (DeliveryIdentity.Assume(job.OpenUid, job.OpenGid, out bool assumed))
            {
                outcome = assumed ? Open(job, out descriptor, out dotLocked) : NoIdentity(job.OpenUid);
            }

            if (outcome.IsSuccess)
            {
                // As the recipient, so that disk quotas count.
                using (DeliveryIdentity.Assume(job.Uid, job.Gid, out bool assumed))
                {
                    outcome = assumed ? Append(job, descriptor) : NoIdentity(job.Uid);
                }
            }

            return outcome;
        }
        finally
        {
            if (descriptor >= 0)
            {
                _ = DeliveryFile.Close(descriptor);
            }

            if (dotLocked)
            {
                using (DeliveryIdentity.Assume(job.OpenUid, job.OpenGid, out _))
                {
                    MailboxLocks.DropDotLock(job.Path);
                }
            }

            job.Warnings.ForEach(job.Log.Warning);
        }
    }

    /// <summary>The outcome without root for another user's mailbox.</summary>
    public static FileOutcome NoIdentity(uint uid)
        => new("4.3.0", $"cannot deliver as user {uid}: the mail system runs as user {Identity.EffectiveUser}");

    private static FileOutcome Open(Job job, out int descriptor, out bool dotLocked)
    {
        descriptor = -1;
        dotLocked = false;
        bool exists = DeliveryFile.Stat(job.Path, out FileFacts facts) >= 0;
        if (job.Locks.DotLock && (!exists || facts.IsRegular))
        {
            int result = MailboxLocks.TakeDotLock(job.Path, job.Locks, job.Time, job.CancellationToken);
            dotLocked = result >= 0;
            string trouble = $"unable to create lock file {job.Path}.lock: {DeliveryFile.ErrorText(result)}";
            if (result == -Errno.Exists)
            {
                return new FileOutcome("4.2.0", trouble);
            }

            if (!dotLocked && !job.IsDestinationFile)
            {
                return FileOutcome.Failed(result, job.DefaultDsn, trouble);
            }
        }

        FileOutcome opened = OpenSafely(job, exists, out descriptor, out facts);
        if (!opened.IsSuccess)
        {
            return opened;
        }

        if (facts.IsRegular)
        {
            int result = MailboxLocks.TakeKernelLocks(descriptor, job.Locks, job.CancellationToken);
            if (result < 0)
            {
                return new FileOutcome("4.2.0", $"unable to lock for exclusive access: {DeliveryFile.ErrorText(result)}");
            }
        }

        return Check(job, facts);
    }

    private static FileOutcome Check(Job job, FileFacts facts)
    {
        if (job.IsDestinationFile)
        {
            return facts.IsRegular && (facts.Mode & 0x49) != 0 ? new FileOutcome("5.7.1", "file is executable") : FileOutcome.Success;
        }

        if (!facts.IsRegular)
        {
            return new FileOutcome(job.DefaultDsn, $"destination {job.Path} is not a regular file");
        }

        if (job.StrictOwner && facts.Uid != job.Uid)
        {
            job.Warnings.Add("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
            return new FileOutcome("4.2.0", $"destination {job.Path} is not owned by recipient");
        }

        return FileOutcome.Success;
    }

    private static FileOutcome OpenSafely(Job job, bool exists, out int descriptor, out FileFacts facts)
    {
        facts = default;
        int flags = OpenFlags.WriteOnly | OpenFlags.Append | OpenFlags.NonBlocking;
        descriptor = exists ? DeliveryFile.Open(job.Path, flags) : -Errno.NoEntry;
        if (descriptor == -Errno.NoEntry)
        {
            return Create(job, flags, out descriptor, out facts);
        }

        if (descriptor < 0)
        {
            return FileOutcome.Failed(descriptor, job.DefaultDsn, $"cannot open file: {DeliveryFile.ErrorText(descriptor)}");
        }

        if (DeliveryFile.Stat(descriptor, out facts) < 0 || DeliveryFile.LinkStat(job.Path, out FileFacts named) < 0)
        {
            return new FileOutcome("4.2.0", "file status changed unexpectedly");
        }

        if (facts.Links != 1 && facts.IsRegular)
        {
            return new FileOutcome(job.DefaultDsn, $"file has {facts.Links} hard links");
        }

        if (named.IsSymbolicLink)
        {
            return IsRootsOwnLink(job.Path, named) ? FileOutcome.Success : new FileOutcome(job.DefaultDsn, "file is a symbolic link");
        }

        return named.Inode == facts.Inode && named.Device == facts.Device
            ? FileOutcome.Success
            : new FileOutcome("4.2.0", "file status changed unexpectedly");
    }

    private static FileOutcome Create(Job job, int flags, out int descriptor, out FileFacts facts)
    {
        facts = default;
        descriptor = DeliveryFile.Open(job.Path, flags | OpenFlags.Create | OpenFlags.Exclusive, NewMode);
        if (descriptor < 0)
        {
            // EEXIST: somebody made it this moment, or a link that leads nowhere stands there.
            return descriptor == -Errno.Exists
                ? new FileOutcome("4.2.0", "file status changed unexpectedly")
                : FileOutcome.Failed(descriptor, job.DefaultDsn, $"cannot create file exclusively: {DeliveryFile.ErrorText(descriptor)}");
        }

        int result = job.OpenUid == job.Uid ? 0 : DeliveryFile.ChangeOwner(descriptor, job.Uid, job.Gid);
        if (result < 0)
        {
            _ = DeliveryFile.Unlink(job.Path);
            return FileOutcome.Failed(result, job.DefaultDsn, $"cannot change file ownership: {DeliveryFile.ErrorText(result)}");
        }

        _ = DeliveryFile.Stat(descriptor, out facts);
        return FileOutcome.Success;
    }

    private static bool IsRootsOwnLink(string path, FileFacts link)
        => link.Uid == 0 && Path.GetDirectoryName(path) is { Length: > 0 } parent
            && DeliveryFile.LinkStat(parent, out FileFacts directory) >= 0 && directory.Uid == 0 && (directory.Mode & 0x12) == 0;

    private static FileOutcome Append(Job job, int descriptor)
    {
        // The length counts under the lock, not before.
        int result = DeliveryFile.Stat(descriptor, out FileFacts facts);
        if (result < 0)
        {
            return FileOutcome.Failed(result, "4.3.0", $"cannot access file: {DeliveryFile.ErrorText(result)}");
        }

        bool kept = false;
        try
        {
            long room = job.SizeLimit == 0 || !facts.IsRegular ? long.MaxValue : Math.Max(0, job.SizeLimit - facts.Size);
            result = MessageCopy.Copy(job.Source, new FileSink(descriptor, room));
            if (result >= 0 && facts.IsRegular)
            {
                result = DeliveryFile.Sync(descriptor);
            }

            kept = result >= 0;
            return kept ? FileOutcome.Success : FileOutcome.Failed(result, job.DefaultDsn, $"error writing message: {DeliveryFile.ErrorText(result)}");
        }
        finally
        {
            if (!kept && facts.IsRegular && DeliveryFile.Truncate(descriptor, facts.Size) is < 0 and int failed)
            {
                job.Warnings.Add($"cannot cut {job.Path} back to {facts.Size} bytes: {DeliveryFile.ErrorText(failed)}");
            }
        }
    }
}
