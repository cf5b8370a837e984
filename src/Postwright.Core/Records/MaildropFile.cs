using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Records;

/// <summary>
/// A new file of the maildrop directory, as postdrop makes it: created under a name of its own that no reader takes for a
/// message, renamed to its queue ID, written, and only when it is whole given the execute bit that lets pickup take
/// it, then synced with its directory. <see cref="Finish"/> returning null is the promise that the message will not be lost.
/// <para>Dispose without it removes the file. Failures are error numbers, never exceptions.</para>
/// </summary>
internal sealed class MaildropFile : Stream
{
    /// <summary>Not executable while it is written; readable by the mail system.</summary>
    private const uint UnfinishedMode = 0x1A4; // 0644
    private const uint FinishedMode = 0x1E4; // 0744

    private readonly SafeFileHandle _handle;
    private readonly string _directory;
    private readonly string _path;
    private readonly long _limit;
    private long _length;
    private bool _keep;

    private MaildropFile(SafeFileHandle handle, string directory, string queueId, long limit)
    {
        _handle = handle;
        _directory = directory;
        _path = Path.Combine(directory, queueId);
        _limit = limit;
        QueueId = queueId;
    }

    /// <summary>Its name.</summary>
    public string QueueId { get; }

    /// <summary>The error number of the first write that failed, or 0. What is written after it is dropped.</summary>
    public int WriteError { get; private set; }

    /// <inheritdoc />
    public override bool CanRead => false;

    /// <inheritdoc />
    public override bool CanSeek => false;

    /// <inheritdoc />
    public override bool CanWrite => true;

    /// <inheritdoc />
    public override long Length => _length;

    /// <inheritdoc />
    public override long Position { get => _length; set => throw new NotSupportedException(); }

    /// <summary>Makes the file.</summary>
    /// <param name="directory">The maildrop directory.</param>
    /// <param name="limit">The largest size of the file in bytes, or 0 for any; beyond it writing fails with EFBIG.</param>
    /// <param name="now">The time of the queue ID.</param>
    /// <param name="longId">enable_long_queue_ids.</param>
    /// <param name="error">The error number if there is no file.</param>
    public static MaildropFile? TryCreate(string directory, long limit, DateTimeOffset now, bool longId, out int error)
    {
        long microseconds = now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond;
        string temporary = Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{microseconds}.{Environment.ProcessId}"));
        int descriptor = PosixFile.CreateNew(temporary, UnfinishedMode);
        error = -descriptor;
        if (descriptor < 0)
        {
            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        error = -PosixFile.TryStatus(descriptor, out FileStatus status);
        string queueId = QueueFileName.Of(now, status.Inode, longId);
        if (error == 0)
        {
            error = -PosixFile.Rename(temporary, Path.Combine(directory, queueId));
        }

        if (error != 0)
        {
            PosixFile.Remove(temporary);
            handle.Dispose();
            return null;
        }

        return new MaildropFile(handle, directory, queueId, limit);
    }

    /// <summary>Makes the message final.</summary>
    /// <returns>0, or the error number; the file is then removed on dispose.</returns>
    public int Finish()
    {
        if (WriteError != 0)
        {
            return WriteError;
        }

        int descriptor = (int)_handle.DangerousGetHandle();
        int result = PosixFile.ChangeMode(descriptor, FinishedMode);
        result = result < 0 ? result : PosixFile.Sync(descriptor);
        result = result < 0 ? result : SyncDirectory();
        _keep = result >= 0;
        return -Math.Min(result, 0);
    }

    /// <inheritdoc />
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc />
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (WriteError != 0 || buffer.IsEmpty)
        {
            return;
        }

        if (_limit > 0 && _length + buffer.Length > _limit)
        {
            WriteError = PosixFile.FileTooBig;
            return;
        }

        try
        {
            RandomAccess.Write(_handle, buffer, _length);
            _length += buffer.Length;
        }
        catch (IOException failure)
        {
            int code = failure.HResult & 0xffff;
            WriteError = code is > 0 and < 4096 ? code : PosixFile.NoSpace;
        }
    }

    /// <inheritdoc />
    public override void Flush()
    {
    }

    /// <inheritdoc />
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc />
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc />
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_handle.IsClosed)
        {
            if (!_keep)
            {
                PosixFile.Remove(_path);
            }

            _handle.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>
    /// The directory is writable but not readable for postdrop's group (mode 1730), so that it cannot be opened by a user; the
    /// file's own sync then has to carry its name too, which ext4, xfs and btrfs promise for a new file.
    /// </summary>
    private int SyncDirectory()
    {
        int directory = PosixFile.OpenForRead(_directory);
        if (directory < 0)
        {
            return directory == -PosixFile.PermissionDenied ? 0 : directory;
        }

        using var handle = new SafeFileHandle(directory, ownsHandle: true);
        return PosixFile.Sync(directory);
    }
}
