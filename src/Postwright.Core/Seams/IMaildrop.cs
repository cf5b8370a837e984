using Postwright.Core.Records;

namespace Postwright.Core.Seams;

/// <summary>A finished file of the maildrop directory.</summary>
/// <param name="Name">Its name, a valid queue ID.</param>
/// <param name="Status">Owner, inode, time.</param>
public readonly record struct MaildropEntry(string Name, FileStatus Status)
{
    /// <summary>What tells this message from any other, also across a restart.</summary>
    public string Key => $"{Name}:{Status.Inode}";
}

/// <summary>
/// The maildrop directory as pickup and showq see it: what postdrop has finished there. The real one trusts nothing that it
/// finds; the simulated one loses, in a crash, what postdrop had not synced. Its calls block, and may be made from any thread.
/// </summary>
public interface IMaildrop
{
    /// <summary>Whether there is such a directory: before the first start there may be none.</summary>
    bool Exists { get; }

    /// <summary>The files that are ready now, in no order. A directory that cannot be read is logged, and gives none.</summary>
    IEnumerable<MaildropEntry> Ready();

    /// <summary>
    /// Opens a file that <see cref="Ready"/> gave, to be read, and read again from its start; null (and logged, unless it is
    /// simply gone) if it is not that file any more. Reads of the stream may throw <see cref="IOException"/>.
    /// </summary>
    Stream? Open(MaildropEntry entry);

    /// <summary>Takes a file out of the directory; one that is gone already counts as taken. It survives a power cut after <see cref="SyncRemovals"/>.</summary>
    /// <returns>Whether it is gone; if not, why is logged.</returns>
    bool Remove(MaildropEntry entry);

    /// <summary>
    /// Makes what was removed durable, so that the queue may forget in time whose files they were. A failure is logged, and no more
    /// than a chance that a file comes back after a power cut.
    /// </summary>
    void SyncRemovals();
}
