using System.Text;

namespace Postwright.Server.Queue.Spool;

/// <summary>What of a segment must be written anew.</summary>
internal sealed class NeededRecords(SpoolIndex index, Lock gate) : IScanSink
{
    /// <summary>Messages that stand in the segment.</summary>
    public List<IndexEntry> Messages { get; } = [];

    /// <summary>Messages that stand elsewhere and were changed by a record in the segment.</summary>
    public HashSet<IndexEntry> States { get; } = [];

    /// <summary>It has changes of messages that are gone: needed all the same until their removal is written.</summary>
    public bool HasChangesOfGone { get; private set; }

    /// <summary>Removals that must be kept: ID, first and last segment in which the message may stand.</summary>
    public List<(string QueueId, uint First, uint Last)> Removals { get; } = [];

    /// <summary>Ranges that are damaged.</summary>
    public List<(long Offset, long Length)> Damages { get; } = [];

    /// <inheritdoc />
    public void Record(Segment segment, RecordHeader header, ReadOnlySpan<byte> record, int offset)
    {
        string queueId = Encoding.Latin1.GetString(record.Slice(SegmentFormat.RecordHeaderSize, header.IdLength));
        lock (gate)
        {
            index.Entries.TryGetValue(queueId, out IndexEntry? entry);
            switch (header.Type)
            {
                case RecordType.Message when entry is not null && entry.Segment == segment && entry.Offset == offset:
                    Messages.Add(entry);
                    break;
                case RecordType.Changes when entry is not null && entry.Segment != segment:
                    States.Add(entry);
                    break;
                case RecordType.Changes when entry is null:
                    HasChangesOfGone = true;
                    break;
                case RecordType.Remove or RecordType.Abort:
                    var reader = new RecordReader(record[(SegmentFormat.RecordHeaderSize + header.IdLength + 1)..]);
                    (uint first, uint last) = RecordFormat.ReadSpan(ref reader);
                    last = Math.Min(last, segment.Generation);
                    if (index.HasSegmentIn(first, last, segment.Generation))
                    {
                        Removals.Add((queueId, first, last));
                    }

                    break;
            }
        }
    }

    /// <inheritdoc />
    public void Damage(Segment segment, long offset, long length, string? queueId) => Damages.Add((offset, length));
}
