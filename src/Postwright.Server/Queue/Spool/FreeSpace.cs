using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The space left on the queue's file system, asked a few times a second at most, by sessions and the writer alike. What
/// cannot be asked counts as none.
/// </summary>
internal sealed class FreeSpace(SpoolOptions options, IDisk disk, TimeProvider time, MailLog log)
{
    private static readonly TimeSpan Age = TimeSpan.FromMilliseconds(200);

    private readonly Lock _gate = new();
    private long? _checked;
    private long _bytes;

    /// <summary>Bytes for new mail and everything else.</summary>
    public long Bytes()
    {
        long now = time.GetTimestamp();
        lock (_gate)
        {
            if (_checked is { } last && time.GetElapsedTime(last, now) < Age)
            {
                return _bytes;
            }

            _checked = now;
            try
            {
                _bytes = disk.FreeBytes(options.Directory);
            }
            catch (DiskException failure)
            {
                log.Warning($"spool: {failure.Message}");
                _bytes = 0;
            }

            return _bytes;
        }
    }

    /// <summary>queue_minfree: true when new mail may be taken.</summary>
    public bool IsEnough() => options.MinFree <= 0 || Bytes() >= options.MinFree;
}
