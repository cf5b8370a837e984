namespace Postwright.Core.Seams;

/// <summary>How a file is opened.</summary>
public enum DiskOpen
{
    /// <summary>An existing file, to read only.</summary>
    Read,

    /// <summary>An existing file, to read and write.</summary>
    ReadWrite,

    /// <summary>A file that must not exist yet; mode 0600, owned as its directory is when root makes it.</summary>
    CreateNew,
}

/// <summary>
/// The disk as the queue sees it: open, write-and-sync, rename, list. The real one calls the system with every result
/// checked; the simulated one loses what was not synced.
/// <para>Contract: a file's bytes survive a power cut only after a sync of the file that came after the write, and a name
/// (created, renamed, deleted) only after <see cref="SyncDirectory"/>. A sync that failed proves nothing about any byte
/// written since the last good one, and a later sync does not mend that: the bytes must be written anew elsewhere.</para>
/// <para>All calls may be made from any thread. All but <see cref="IDiskFile.WriteAndSyncAsync"/> block.</para>
/// </summary>
public interface IDisk
{
    /// <summary>Opens a file.</summary>
    /// <exception cref="DiskException">There is none, it exists already, or the disk failed.</exception>
    IDiskFile Open(string path, DiskOpen mode);

    /// <summary>Gives a file another name in the same directory; a file that has it is replaced.</summary>
    /// <exception cref="DiskException">The disk failed; which of the names the file has is then unknown.</exception>
    void Rename(string from, string to);

    /// <summary>Removes a name; its absence is no error.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    void Delete(string path);

    /// <summary>Makes a directory (mode 0700); one that is there is no error.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    void CreateDirectory(string path);

    /// <summary>Makes the names in a directory durable.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    void SyncDirectory(string path);

    /// <summary>The names of the files in a directory, without path, in no order; none if it does not exist.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    IReadOnlyList<string> List(string directory);

    /// <summary>Bytes that an unprivileged writer may still use on the directory's file system.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    long FreeBytes(string directory);

    /// <summary>Runs blocking disk work away from the caller's thread, and completes with its outcome.</summary>
    Task OffloadAsync(Action work);
}

/// <summary>An open file. Its owner disposes it, once; reads may run beside each other and beside one write.</summary>
public interface IDiskFile : IDisposable
{
    /// <summary>Bytes in the file.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    long Length { get; }

    /// <summary>Reads until <paramref name="buffer"/> is full or the file ends; gives the number of bytes.</summary>
    /// <exception cref="DiskException">The disk failed.</exception>
    int Read(Span<byte> buffer, long offset);

    /// <summary>Writes all of <paramref name="bytes"/>; durable only after <see cref="Sync"/>.</summary>
    /// <exception cref="DiskException">The disk failed or is full; some of the bytes may have been written.</exception>
    void Write(ReadOnlySpan<byte> bytes, long offset);

    /// <summary>
    /// Makes the file <paramref name="length"/> bytes long, allocated and written with zeros where it was shorter, so that
    /// later writes within it need neither space nor file-system metadata.
    /// </summary>
    /// <exception cref="DiskException">The disk failed or is full.</exception>
    void Preallocate(long length);

    /// <summary>
    /// Ends the file at <paramref name="length"/>, which is less than it has, and gives the space behind it back. Until a
    /// <see cref="Sync"/> a power cut may leave the file as long as it was, with the bytes that it had there.
    /// </summary>
    /// <exception cref="DiskException">The disk failed; which of the lengths the file has is then unknown.</exception>
    void Truncate(long length);

    /// <summary>fdatasync: the bytes, and what of the metadata is needed to read them.</summary>
    /// <exception cref="DiskException">The sync failed.</exception>
    void Sync();

    /// <summary>
    /// Writes the parts one after the other with vectored writes, then syncs. One call at a time per file.
    /// </summary>
    /// <param name="parts">What to write; must stay unchanged until the task completes.</param>
    /// <param name="offset">Where the first part begins.</param>
    /// <param name="onCallersThread">True to write and sync before returning: for small batches this saves two changes of thread.</param>
    /// <returns>0, or the errno of the call that failed. It does not throw for what a disk does.</returns>
    ValueTask<int> WriteAndSyncAsync(IReadOnlyList<ReadOnlyMemory<byte>> parts, long offset, bool onCallersThread);

    /// <summary>Takes an exclusive lock on the file that ends with it or with the process; false if another holds it.</summary>
    /// <exception cref="DiskException">The file system has no locks.</exception>
    bool TryLock();
}
