using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Queue.Spool;

namespace Postwright.Commands.Shared;

/// <summary>The spool of a mail system that is down, opened by a command.</summary>
internal static class DirectQueue
{
    /// <summary>To read; null if there is none yet. Takes no lock.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static SpoolReader? Read(MailConfiguration configuration)
    {
        SpoolOptions options = Options(configuration);
        return Directory.Exists(options.Directory) ? new SpoolReader(options, new LinuxDisk()) : null;
    }

    /// <summary>To change. The caller is the spool's owner by now.</summary>
    /// <exception cref="IOException">It cannot be opened, or is in use.</exception>
    public static async Task<Spool?> OpenAsync(MailConfiguration configuration, MailLog log)
    {
        SpoolOptions options = Options(configuration);
        return Directory.Exists(options.Directory)
            ? await Spool.OpenAsync(options, new LinuxDisk(), new SystemChance(), TimeProvider.System, log)
            : null;
    }

    private static SpoolOptions Options(MailConfiguration configuration)
    {
        string queue = configuration.GetString("queue_directory");
        return new SpoolOptions
        {
            Directory = Path.Combine(queue, "spool"),
            CorruptDirectory = Path.Combine(queue, "corrupt"),
            SegmentBytes = configuration.GetLong("spool_segment_size"),
            LongQueueIds = configuration.GetBool("enable_long_queue_ids"),
        };
    }
}
