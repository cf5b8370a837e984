using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote;

// What all tables behind a socket have in common. A lookup for a key that is being asked for joins the one in flight; the
// question has a deadline of its own, so that a caller who leaves takes nothing from the others. Whatever goes wrong is a
// temporary error with a warning, never "not found". Keys that no server can have (a NUL, bytes that are not UTF-8) are not
// found, as in Postfix, and are not sent.

/// <summary>A table that is asked over a connection.</summary>
internal abstract class RemoteTable(RemoteTableSource source, TimeSpan timeout) : ILookupTable, IDisposable
{
    /// <summary>
    /// Different keys that are asked for at the same moment; beyond it a lookup is a temporary error at once. It bounds the
    /// memory that a slow server can cost: 10,000 sessions with a key each fit.
    /// </summary>
    public const int MaxLookups = 10_000;

    private readonly Dictionary<string, TaskCompletionSource<LookupResult>> _flights = new(StringComparer.Ordinal);
    private readonly RemoteCache _cache = new(source.Options.Ttl, source.Time);
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _lock = new();
    private bool _disposed;

    public string Name => source.Name;

    public bool MatchesWholeKeysOnly { get; } = RemoteTypes.SeesWholeKeysOnly(source.Type);

    /// <summary>A database in a file is as good as any other file.</summary>
    public virtual bool IsRemote => true;

    /// <summary>The longest lookup.</summary>
    public TimeSpan Timeout { get; } = source.Options.Timeout ?? timeout;

    protected RemoteTableSource Source => source;

    /// <summary>Keys are folded where the table is used so. Types that see whole keys only never fold.</summary>
    private TableUse Folding => MatchesWholeKeysOnly ? TableUse.None : source.Use;

    public async ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        if (!CanExist(Name, key, source.Log))
        {
            return LookupResult.NotFound;
        }

        string folded = TableText.Fold(key, Folding);
        TaskCompletionSource<LookupResult>? flight;
        bool mine = false;
        lock (_lock)
        {
            if (_disposed)
            {
                return LookupResult.TemporaryError($"{Name}: the table is closed");
            }

            if (_cache.TryGet(folded, out LookupResult kept))
            {
                return kept;
            }

            if (!_flights.TryGetValue(folded, out flight))
            {
                if (_flights.Count >= MaxLookups)
                {
                    return LookupResult.TemporaryError($"{Name}: too many lookups are waiting");
                }

                mine = true;
                flight = new TaskCompletionSource<LookupResult>(TaskCreationOptions.RunContinuationsAsynchronously);
                _flights.Add(folded, flight);
            }
        }

        if (mine)
        {
            _ = FlyAsync(folded, flight);
        }

        return await flight.Task.OrCancelledAsync(cancellationToken);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
        }

        _closing.Cancel();
        Close();
    }

    /// <summary>False, with a warning where it is odd, for a key that no server can have.</summary>
    public static bool CanExist(string table, string key, MailLog log)
    {
        if (key.Contains('\0', StringComparison.Ordinal))
        {
            return false;
        }

        if (TableText.HasStrayBytes(key))
        {
            log.Warning($"{table}: non-UTF-8 key \"{key}\": malformed UTF-8 or invalid codepoint");
            return false;
        }

        return true;
    }

    /// <summary>Asks the server, within <paramref name="deadline"/>.</summary>
    /// <param name="key">Folded; without NUL; valid UTF-16.</param>
    /// <param name="deadline">Ends at <see cref="Timeout"/>, or when the table is closed.</param>
    /// <exception cref="RemoteFailure">The server could not be asked.</exception>
    /// <exception cref="OperationCanceledException">The deadline.</exception>
    protected abstract ValueTask<LookupResult> AskAsync(string key, CancellationToken deadline);

    /// <summary>Closes connections.</summary>
    protected virtual void Close()
    {
    }

    private async Task FlyAsync(string key, TaskCompletionSource<LookupResult> flight)
    {
        LookupResult result = await AnswerAsync(key);
        lock (_lock)
        {
            _flights.Remove(key);
            _cache.Put(key, result);
        }

        flight.SetResult(result);
    }

    private async ValueTask<LookupResult> AnswerAsync(string key)
    {
        using var limit = new CancellationTokenSource(Timeout, source.Time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _closing.Token);
        try
        {
            return await AskAsync(key, deadline.Token);
        }
        catch (RemoteFailure failure)
        {
            return Failed(failure.Message);
        }
        catch (OperationCanceledException)
        {
            return _closing.IsCancellationRequested
                ? LookupResult.TemporaryError($"{Name}: the table is closed")
                : Failed($"no answer within {Timeout.TotalSeconds:0.###} s");
        }
#pragma warning disable CA1031 // A bug in one table must not leave the callers of this key waiting for ever.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            source.Log.Panic($"{Name}: {bug}");
            return LookupResult.TemporaryError($"{Name}: lookup error");
        }
    }

    private LookupResult Failed(string reason)
    {
        string text = $"table {Name} lookup error: {reason}";
        source.Log.Warning(text);
        return LookupResult.TemporaryError(text);
    }
}
