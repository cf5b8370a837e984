using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Local;

/// <summary>mailbox_delivery_lock and how long to try.</summary>
/// <param name="Fcntl">fcntl locks.</param>
/// <param name="Flock">flock locks.</param>
/// <param name="DotLock">A <c>.lock</c> file beside the mailbox.</param>
/// <param name="Attempts">deliver_lock_attempts.</param>
/// <param name="Delay">deliver_lock_delay.</param>
/// <param name="StaleAfter">stale_lock_time: an older lock file is removed.</param>
internal sealed record LockOptions(bool Fcntl, bool Flock, bool DotLock, int Attempts, TimeSpan Delay, TimeSpan StaleAfter)
{
    /// <summary>Of a parameter's value and the three others.</summary>
    public static LockOptions From(IReadOnlyList<string> methods, int attempts, TimeSpan delay, TimeSpan staleAfter) => new(
        methods.Contains("fcntl", StringComparer.OrdinalIgnoreCase),
        methods.Contains("flock", StringComparer.OrdinalIgnoreCase),
        methods.Contains("dotlock", StringComparer.OrdinalIgnoreCase),
        attempts, delay, staleAfter);
}

/// <summary>Takes a mailbox's locks, with patience; the wait ends early when the system shuts down.</summary>
internal static class MailboxLocks
{
    /// <summary>Makes <paramref name="path"/>.lock; 0, or minus errno (EEXIST when another program keeps it).</summary>
    public static int TakeDotLock(string path, LockOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        string file = path + ".lock";
        for (int attempt = 1; ; attempt++)
        {
            int descriptor = DeliveryFile.Open(file, OpenFlags.WriteOnly | OpenFlags.Create | OpenFlags.Exclusive);
            if (descriptor >= 0)
            {
                return DeliveryFile.Close(descriptor);
            }

            if (descriptor != -Errno.Exists)
            {
                return descriptor;
            }

            if (DeliveryFile.LinkStat(file, out FileFacts facts) >= 0
                && time.GetUtcNow().ToUnixTimeSeconds() - facts.ChangedAt > options.StaleAfter.TotalSeconds)
            {
                _ = DeliveryFile.Unlink(file);
            }
            else if (attempt >= options.Attempts || cancellationToken.WaitHandle.WaitOne(options.Delay))
            {
                return descriptor;
            }
            else
            {
                continue;
            }

            if (attempt > options.Attempts)
            {
                return descriptor;
            }
        }
    }

    /// <summary>Removes the lock file.</summary>
    public static void DropDotLock(string path) => _ = DeliveryFile.Unlink(path + ".lock");

    /// <summary>Takes the kernel's locks on an open mailbox; they go when it is closed. 0, or minus errno.</summary>
    public static int TakeKernelLocks(int descriptor, LockOptions options, CancellationToken cancellationToken)
    {
        int result = options.Fcntl ? Repeat(FileLocks.TryFcntl, descriptor, options, cancellationToken) : 0;
        return result >= 0 && options.Flock ? Repeat(FileLocks.TryFlock, descriptor, options, cancellationToken) : result;
    }

    private static int Repeat(Func<int, int> take, int descriptor, LockOptions options, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            int result = take(descriptor);
            if (result >= 0 || result is not (-Errno.TryAgain or -Errno.AccessDenied or -Errno.Interrupted)
                || attempt >= options.Attempts || cancellationToken.WaitHandle.WaitOne(options.Delay))
            {
                return result;
            }
        }
    }
}
