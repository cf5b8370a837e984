using System.Diagnostics.CodeAnalysis;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// Sessions that wait for the next message to the same destination (smtp_connection_cache_on_demand). The newest is used
/// first, so that a surplus ages out. While any wait, a sweep each second ends those whose time is up; a cache that a reload has
/// left behind comes to rest.
/// </summary>
internal sealed class SmtpConnectionCache : IAsyncDisposable
{
    /// <summary>More waiting sessions than this serve nobody; the next one ends at once.</summary>
    private const int Capacity = 200;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly SmtpClientOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, List<(SmtpSession Session, long Since)>> _waiting = new(StringComparer.OrdinalIgnoreCase);
    private readonly ITimer _sweep;
    private int _count;
    private bool _closed;

    public SmtpConnectionCache(SmtpClientOptions options, TimeProvider timeProvider)
    {
        _options = options;
        _timeProvider = timeProvider;
        _sweep = timeProvider.CreateTimer(static cache => _ = ((SmtpConnectionCache)cache!).SweepAsync(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The session that waited the shortest for this destination.</summary>
    public bool TryTake(string destination, [NotNullWhen(true)] out SmtpSession? session)
    {
        lock (_lock)
        {
            if (_waiting.TryGetValue(destination, out List<(SmtpSession Session, long Since)>? list))
            {
                session = list[^1].Session;
                list.RemoveAt(list.Count - 1);
                _count--;
                if (list.Count == 0)
                {
                    _waiting.Remove(destination);
                }

                return true;
            }
        }

        session = null;
        return false;
    }

    /// <summary>Lets a session wait, or ends it where it may not.</summary>
    public async ValueTask ReturnAsync(string destination, SmtpSession session, CancellationToken cancellationToken)
    {
        bool usable = _options.CacheConnections && !session.Conversation.IsBroken && !session.Conversation.HasUnreadInput
            && _timeProvider.GetElapsedTime(session.Opened) < _options.ReuseTimeLimit
            && (_options.ReuseCountLimit == 0 || session.Uses < _options.ReuseCountLimit);
        if (usable)
        {
            session.Conversation.Rest();
            lock (_lock)
            {
                if (!_closed && _count < Capacity)
                {
                    if (!_waiting.TryGetValue(destination, out List<(SmtpSession Session, long Since)>? list))
                    {
                        _waiting.Add(destination, list = []);
                    }

                    list.Add((session, _timeProvider.GetTimestamp()));
                    if (_count++ == 0)
                    {
                        _sweep.Change(SweepInterval, SweepInterval);
                    }

                    return;
                }
            }
        }

        await session.QuitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _sweep.DisposeAsync();
        lock (_lock)
        {
            _closed = true;
        }

        await EndAsync(everything: true);
    }

    private async Task SweepAsync() => await EndAsync(everything: false);

    private async ValueTask EndAsync(bool everything)
    {
        List<SmtpSession> ended = [];
        lock (_lock)
        {
            foreach (string destination in _waiting.Keys.ToArray())
            {
                List<(SmtpSession Session, long Since)> list = _waiting[destination];
                foreach ((SmtpSession session, long since) in list)
                {
                    if (everything || _timeProvider.GetElapsedTime(since) >= _options.CacheTimeLimit)
                    {
                        ended.Add(session);
                    }
                }

                _count -= list.RemoveAll(entry => ended.Contains(entry.Session));
                if (list.Count == 0)
                {
                    _waiting.Remove(destination);
                }
            }

            if (_count == 0)
            {
                _sweep.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }

        foreach (SmtpSession session in ended)
        {
            await session.QuitAsync(CancellationToken.None);
        }
    }
}
