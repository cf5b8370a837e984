namespace Postwright.Server.Queue.Spool;

/// <summary>Bytes of the spool that were synced and are not what was written. They are kept in <paramref name="KeptAs"/>.</summary>
/// <param name="Segment">The number of the segment.</param>
/// <param name="Offset">The first damaged byte.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="QueueId">The message, where that can still be read; else null.</param>
/// <param name="KeptAs">The file in the corrupt directory that holds the bytes; empty if it could not be written.</param>
public sealed record SpoolDamage(long Segment, long Offset, long Length, string? QueueId, string KeptAs)
{
    /// <summary>The log's words.</summary>
    public override string ToString() =>
        $"spool: segment {Segment} is damaged from byte {Offset} on, {Length} bytes"
        + (QueueId is null ? "" : $", message {QueueId}")
        + (KeptAs.Length == 0 ? "; they could not be saved" : $"; saved as {KeptAs}");
}
