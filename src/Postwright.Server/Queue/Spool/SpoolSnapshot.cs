using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>Up to where a snapshot holds the log's effect; from (0, 0) on everything must be read.</summary>
internal readonly record struct SnapshotPosition(uint Generation, long Offset);

/// <summary>The index on disk.</summary>
internal static class SpoolSnapshot
{
    /// <summary>Loads the snapshot, if there is one that is whole and all it refers to is there.</summary>
    public static SnapshotPosition TryLoad(SpoolOptions options, IDisk disk, SpoolIndex index, MailLog? log) => default;
}
