using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>queue_minfree, asked a few times a second at most. What cannot be asked counts as too little.</summary>
internal sealed class FreeSpace(SpoolOptions options, IDisk disk, TimeProvider time, MailLog log)
{
    private static readonly TimeSpan Age = TimeSpan.FromMilliseconds(200);

    private long? _checked;
    private bool _enough = true;

    /// <summary>True when new mail may be taken.</summary>
    public bool IsEnough()
    {
        if (options.MinFree <= 0)
        {
            return true;
        }

        long now = time.GetTimestamp();
        if (_checked is not { } last || time.GetElapsedTime(last, now) >= Age)
        {
            _checked = now;
            try
            {
                _enough = disk.FreeBytes(options.Directory) >= options.MinFree;
            }
            catch (DiskException failure)
            {
                log.Warning($"spool: {failure.Message}");
                _enough = false;
            }
        }

        return _enough;
    }
}
