namespace Postwright.Core.Tables.Remote;

/// <summary>Answers that still count. Errors are never kept. The caller's lock guards it.</summary>
internal sealed class RemoteCache(TimeSpan ttl, TimeProvider time)
{
    /// <summary>Keys come from clients: a flood of them must not fill the memory. 10,000 answers are a few megabytes.</summary>
    public const int MaxEntries = 10_000;

    private readonly Dictionary<string, (LookupResult Result, long Since)> _entries = new(StringComparer.Ordinal);

    // One lifetime for all, so the order of arrival is the order of expiry.
    private readonly Queue<(string Key, long Since)> _order = new();

    public bool TryGet(string key, out LookupResult result)
    {
        bool known = _entries.TryGetValue(key, out (LookupResult Result, long Since) entry) && time.GetElapsedTime(entry.Since) < ttl;
        result = entry.Result;
        return known;
    }

    public void Put(string key, LookupResult result)
    {
        if (result.Status == LookupStatus.TemporaryError || ttl == TimeSpan.Zero)
        {
            return;
        }

        long now = time.GetTimestamp();
        _entries[key] = (result, now);
        _order.Enqueue((key, now));
        while (_order.TryPeek(out (string Key, long Since) oldest) && (_order.Count > MaxEntries || time.GetElapsedTime(oldest.Since, now) >= ttl))
        {
            _order.Dequeue();
            if (_entries.TryGetValue(oldest.Key, out (LookupResult, long Since) entry) && entry.Since == oldest.Since)
            {
                _entries.Remove(oldest.Key);
            }
        }
    }
}
