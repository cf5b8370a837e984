using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;
using Postwright.Core.Records;
using Postwright.Core.Seams;

namespace Postwright.Server.Receive.Pickup;

#pragma warning disable RS0030 // The real directory behind IMaildrop.

/// <summary>
/// The maildrop directory, where any local user's postdrop leaves files. Nothing there is trusted: names must be queue IDs;
/// only ordinary files with one link and their owner's execute bit (the sign of being finished) are taken; they are
/// opened without following a link and must still be the file that was looked at.
/// </summary>
/// <param name="path">Where it is.</param>
/// <param name="log">Where a file that does not belong there is named.</param>
public sealed class MaildropDirectory(string path, MailLog log) : IMaildrop
{
    /// <summary>read, write and execute for the owner: a finished file.</summary>
    private const int ReadyMode = 0x1C0;

    /// <inheritdoc />
    public bool Exists => Directory.Exists(path);

    /// <inheritdoc />
    public IEnumerable<MaildropEntry> Ready()
    {
        IEnumerator<string> names;
        try
        {
            names = Directory.EnumerateFileSystemEntries(path).GetEnumerator();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            log.Warning($"open directory maildrop: {failure.Message}");
            yield break;
        }

        using (names)
        {
            while (MoveNext(names))
            {
                string name = Path.GetFileName(names.Current);
                if (IsReady(name, out FileStatus status))
                {
                    yield return new MaildropEntry(name, status);
                }
            }
        }
    }

    /// <inheritdoc />
    public Stream? Open(MaildropEntry entry)
    {
        int descriptor = PosixFile.OpenForRead(Path.Combine(path, entry.Name));
        if (descriptor < 0)
        {
            if (descriptor != -PosixFile.NoEntry)
            {
                log.Warning($"open input file maildrop/{entry.Name}: {PosixFile.Describe(descriptor)}");
            }

            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (PosixFile.TryStatus(descriptor, out FileStatus status) < 0 || !status.IsRegular || status.Links != 1
            || status.Inode != entry.Status.Inode || status.Uid != entry.Status.Uid)
        {
            log.Warning($"open input file maildrop/{entry.Name}: file has changed unexpectedly");
            handle.Dispose();
            return null;
        }

        return new FileStream(handle, FileAccess.Read, bufferSize: 0);
    }

    /// <inheritdoc />
    public bool Remove(MaildropEntry entry)
    {
        int result = PosixFile.Remove(Path.Combine(path, entry.Name));
        if (result < 0 && result != -PosixFile.NoEntry)
        {
            log.Warning($"remove maildrop/{entry.Name}: {PosixFile.Describe(result)}");
            return false;
        }

        return true;
    }

    /// <inheritdoc />
    public void SyncRemovals()
    {
        int directory = PosixFile.OpenForRead(path);
        int result = directory;
        if (directory >= 0)
        {
            using var handle = new SafeFileHandle(directory, ownsHandle: true);
            result = PosixFile.Sync(directory);
        }

        if (result < 0)
        {
            log.Warning($"sync directory maildrop: {PosixFile.Describe(result)}");
        }
    }

    private bool MoveNext(IEnumerator<string> names)
    {
        try
        {
            return names.MoveNext();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            log.Warning($"scan directory maildrop: {failure.Message}");
            return false;
        }
    }

    private bool IsReady(string name, out FileStatus status)
    {
        if (PosixFile.TryStatus(Path.Combine(path, name), out status) < 0)
        {
            return false;
        }

        if (!status.IsRegular)
        {
            log.Warning($"uid {status.Uid}: not a regular file: maildrop/{name}");
            return false;
        }

        // Unfinished files have names of their own, with a dot, so the name is looked at last.
        if ((status.Mode & ReadyMode) != ReadyMode)
        {
            return false;
        }

        if (status.Links != 1)
        {
            log.Warning($"uid {status.Uid}: file maildrop/{name} has {status.Links} links");
            return false;
        }

        if (!QueueFileName.IsValid(name))
        {
            log.Warning($"bogus file name: maildrop/{name}");
            return false;
        }

        return true;
    }
}
