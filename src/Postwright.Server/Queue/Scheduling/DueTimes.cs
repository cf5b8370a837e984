namespace Postwright.Server.Queue.Scheduling;

/// <summary>
/// Deferred messages by the time of their next attempt: a heap of (queue ID, time), 16 bytes each, since a million of them
/// must cost little. Entries are never removed from the middle: whoever takes one compares it with the store's index, and
/// an entry that is out of date is passed over.
/// </summary>
internal sealed class DueTimes
{
    private readonly PriorityQueue<string, long> _heap = new();

    /// <summary>Entries, those out of date included.</summary>
    public int Count => _heap.Count;

    /// <summary>Adds a message.</summary>
    public void Add(string queueId, DateTimeOffset due) => _heap.Enqueue(queueId, due.UtcTicks);

    /// <summary>Makes room for a restart's entries at once.</summary>
    public void Reserve(int count) => _heap.EnsureCapacity(count);

    /// <summary>Forgets everything.</summary>
    public void Clear() => _heap.Clear();

    /// <summary>True when an entry is due at <paramref name="now"/>.</summary>
    public bool HasDue(DateTimeOffset now) => _heap.TryPeek(out _, out long due) && due <= now.UtcTicks;

    /// <summary>Takes the earliest message, if it is due at <paramref name="now"/>.</summary>
    public bool TryTake(DateTimeOffset now, out string queueId)
    {
        if (_heap.TryPeek(out string? first, out long due) && due <= now.UtcTicks)
        {
            _heap.Dequeue();
            queueId = first;
            return true;
        }

        queueId = "";
        return false;
    }
}
