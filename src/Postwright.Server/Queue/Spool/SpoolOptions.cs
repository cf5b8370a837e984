using Postwright.Core.Configuration;

namespace Postwright.Server.Queue.Spool;

/// <summary>The spool's settings, read once.</summary>
public sealed record SpoolOptions
{
    /// <summary>Where segments, the index and large contents are: <c>$queue_directory/spool</c>. Its parent must exist.</summary>
    public required string Directory { get; init; }

    /// <summary>Where damaged bytes are kept for a human: <c>$queue_directory/corrupt</c>.</summary>
    public required string CorruptDirectory { get; init; }

    /// <summary>Bytes of a segment: large enough that a change of segments is rare, small enough to be won back soon.</summary>
    public long SegmentBytes { get; init; } = 64L << 20;

    /// <summary>
    /// spool_inline_limit: content up to this stands in the log itself, larger content in a file of its own. At most 256 KiB,
    /// so that even the smallest segment holds some.
    /// </summary>
    public int InlineLimit { get; init; } = 128 << 10;

    /// <summary>inline_memory_limit: bytes of arriving content held in memory over all sessions; beyond it, files are used.</summary>
    public long InlineMemoryLimit { get; init; } = 64L << 20;

    /// <summary>spool_cache_limit: bytes of queued content kept in memory, so that a first delivery reads nothing.</summary>
    public long CacheLimit { get; init; } = 64L << 20;

    /// <summary>queue_minfree: new mail is refused when the file system has less; 0 for no limit.</summary>
    public long MinFree { get; init; }

    /// <summary>spool_compaction_rate: bytes a second that winning space back may copy; 0 for no limit.</summary>
    public long CompactionRate { get; init; } = 16L << 20;

    /// <summary>enable_long_queue_ids.</summary>
    public bool LongQueueIds { get; init; }

    /// <summary>How long a change that nobody waits for may wait for company before it is committed alone.</summary>
    public TimeSpan LazyDelay { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>How long refused changes wait before they are tried again.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Changes that the disk refused and that are kept for another try; beyond it the oldest are given up (a duplicate at worst).</summary>
    internal int MostRetries { get; init; } = 100_000;

    /// <summary>A new index snapshot is written after so many segments, so that a start has at most this much log to read.</summary>
    public int SnapshotSegments { get; init; } = 8;

    /// <summary>False when nobody compacts in the background: tests call it themselves.</summary>
    internal bool CompactInBackground { get; init; } = true;

    /// <summary>Where what waits for the log goes on: not on the writer's thread, but for a simulation that has one thread.</summary>
    internal TaskCreationOptions Continuations { get; init; } = TaskCreationOptions.RunContinuationsAsynchronously;

    /// <summary>Emptied segments kept for their next life; more are deleted.</summary>
    public int FreeSegments { get; init; } = 2;

    /// <summary>Reads the settings.</summary>
    /// <param name="configuration">main.cf.</param>
    /// <param name="directory">queue_directory.</param>
    public static SpoolOptions From(MailConfiguration configuration, string directory) => new()
    {
        Directory = Path.Combine(directory, "spool"),
        CorruptDirectory = Path.Combine(directory, "corrupt"),
        SegmentBytes = SegmentFormat.Align(Math.Clamp(configuration.GetLong("spool_segment_size"), 1 << 20, 1 << 30), SegmentFormat.Page),
        InlineLimit = Math.Min(configuration.GetInt("spool_inline_limit"), 256 << 10),
        InlineMemoryLimit = configuration.GetLong("inline_memory_limit"),
        CacheLimit = configuration.GetLong("spool_cache_limit"),
        MinFree = configuration.GetLong("queue_minfree"),
        CompactionRate = configuration.GetLong("spool_compaction_rate"),
        LongQueueIds = configuration.GetBool("enable_long_queue_ids"),
    };
}
