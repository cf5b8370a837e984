namespace Postwright.Testing.Disk;

/// <summary>What happened to a disk.</summary>
public enum DiskEventKind
{
    /// <summary>Bytes were written to a file, not synced.</summary>
    Write,

    /// <summary>A file was made shorter, not synced.</summary>
    Truncate,

    /// <summary>A file was synced.</summary>
    Sync,

    /// <summary>A sync failed: what was not synced before may be on the disk or not, for ever.</summary>
    FailedSync,

    /// <summary>A name was made.</summary>
    Create,

    /// <summary>A name was changed.</summary>
    Rename,

    /// <summary>A name was removed.</summary>
    Delete,

    /// <summary>The names were synced.</summary>
    SyncDirectory,
}

/// <summary>One event of a disk's history.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="File">The file's number, which names come and go from.</param>
/// <param name="Name">The name that was made, changed to, or removed.</param>
/// <param name="OldName">For a rename, the name before.</param>
/// <param name="Offset">For a write; for a truncation, where the file ends.</param>
/// <param name="Bytes">For a write; null stands for zeros.</param>
/// <param name="Length">For a write.</param>
public sealed record DiskEvent(
    DiskEventKind Kind, int File = 0, string Name = "", string OldName = "", long Offset = 0, byte[]? Bytes = null, int Length = 0);
