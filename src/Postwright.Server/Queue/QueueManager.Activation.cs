using Postwright.Protocol.Mail;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Local;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Report;
using Postwright.Server.Route;

namespace Postwright.Server.Queue;

// How messages come into the active queue. Three lines stand before it: messages that may come back at once (their
// destination has room again, or somebody asked for a flush), new mail, and deferred mail that is due. New and deferred
// mail take turns, and deferred mail never fills more than four fifths, so that a backlog cannot shut new mail out.

public sealed partial class QueueManager
{
    /// <summary>Content that waiting messages may keep in memory; beyond it, it is read again when its turn comes.</summary>
    private const long WaitingContentLimit = 32 << 20;

    /// <summary>Loads and resolutions that wait for disk or network at a time; a slow table must not pile up memory.</summary>
    private const int LoadsAtOnce = 64;

    private readonly Dictionary<string, ActiveMessage> _active = new(StringComparer.Ordinal);
    private readonly Queue<string> _incoming = new();
    private readonly Queue<Resumption> _resumed = new();
    private readonly Queue<string> _flushed = new();
    private readonly DueTimes _deferred = new();
    private readonly List<ActiveMessage> _entered = [];
    private DateTimeOffset _runHorizon;
    private TimeSpan _nextRun;
    private int _activeDeferred;
    private int _activeRecipients;
    private long _waitingContent;
    private int _loading;
    private int _working;
    private bool _deferredTurn;

    /// <summary>A message that may be tried at once.</summary>
    /// <param name="QueueId">Which.</param>
    /// <param name="IsFlushed">True if somebody asked for it, so that defer_transports does not count.</param>
    /// <param name="ParkedAt">The destination that it waited for outside the active queue.</param>
    private readonly record struct Resumption(string QueueId, bool IsFlushed, Destination? ParkedAt = null);

    /// <summary>Takes up what the store holds from an earlier life.</summary>
    private void Restart()
    {
        IReadOnlyList<QueueEntry> entries = _store.Entries();
        _deferred.Reserve(entries.Count);
        foreach (QueueEntry entry in entries)
        {
            if (entry.Queue == QueueName.Incoming)
            {
                _incoming.Enqueue(entry.QueueId);
            }
            else if (entry.Queue == QueueName.Deferred)
            {
                _deferred.Add(entry.QueueId, entry.NextAttempt);
            }
        }

        // Arrivals between the store's opening and this moment are in both lists; the second is passed over.
        _runHorizon = _now;
        _nextRun = _uptime + _options.QueueRunDelay;
        if (_options.FlushOnStart)
        {
            FlushDeferred();
        }
    }

    private bool HasRoom => !IsStopping && _loading < LoadsAtOnce && _active.Count < _options.ActiveLimit
        && (_activeRecipients < _options.RecipientLimit || _active.Count == 0);

    private bool HasRoomForDeferred => _activeDeferred < Math.Max(1, _options.ActiveLimit / 5 * 4);

    /// <summary>True when another turn would find something to activate: deliveries of this one made room, or its budget is spent.</summary>
    private bool CanFeed => HasRoom
        && (_resumed.Count > 0 || _incoming.Count > 0 || (HasRoomForDeferred && (_flushed.Count > 0 || _deferred.HasDue(_runHorizon))));

    private void Feed()
    {
        for (int budget = ActivationsPerTurn; budget > 0 && HasRoom && TryNext(out ActiveMessage message); budget--)
        {
            Activate(message);
        }
    }

    private bool TryNext(out ActiveMessage message)
    {
        if (_resumed.TryDequeue(out Resumption resumed))
        {
            message = new ActiveMessage(resumed.QueueId) { IsFlushed = resumed.IsFlushed, ParkedAt = resumed.ParkedAt };
            return true;
        }

        bool deferredFirst = _deferredTurn;
        _deferredTurn = !_deferredTurn;
        if (deferredFirst && TryNextDeferred(out message))
        {
            return true;
        }

        if (_incoming.TryDequeue(out string? queueId))
        {
            message = new ActiveMessage(queueId);
            return true;
        }

        return TryNextDeferred(out message);
    }

    private bool TryNextDeferred(out ActiveMessage message)
    {
        message = null!;
        if (!HasRoomForDeferred)
        {
            return false;
        }

        if (_flushed.TryDequeue(out string? queueId))
        {
            message = new ActiveMessage(queueId) { IsFromDeferred = true, IsFlushed = true };
            return true;
        }

        while (_deferred.TryTake(_runHorizon, out queueId))
        {
            // Older entries of a message that was flushed and deferred again are out of date.
            if (_store.TryGetEntry(queueId, out QueueEntry entry) && entry.NextAttempt <= _runHorizon)
            {
                message = new ActiveMessage(queueId) { IsFromDeferred = true };
                return true;
            }
        }

        return false;
    }

    private void Activate(ActiveMessage message)
    {
        if (_active.TryGetValue(message.QueueId, out ActiveMessage? present))
        {
            // Held and released while a delivery was under way: it comes back when that has ended.
            present.ComesBack |= present.IsWithdrawn;
            HasReturned(message);
            return;
        }

        if (_requeuing.Contains(message.QueueId)
            || !_store.TryGetEntry(message.QueueId, out QueueEntry entry)
            || entry.Queue is not (QueueName.Incoming or QueueName.Deferred))
        {
            HasReturned(message);
            return;
        }

        _active.Add(message.QueueId, message);
        _activeDeferred += message.IsFromDeferred ? 1 : 0;
        ValueTask<string?> loading = LoadAsync(message);
        if (loading.IsCompletedSuccessfully)
        {
            Enter(message, loading.Result);
            return;
        }

        _loading++;
        _working++;
        _ = EnterLaterAsync(message, loading);
    }

    private async Task EnterLaterAsync(ActiveMessage message, ValueTask<string?> loading)
    {
        string? error;
        try
        {
            error = await loading;
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // A stop, or a bug of table or store: the message stays where it is, and the queue goes on.
            error = $"{failure.GetType().Name}: {failure.Message}";
        }

        Post(() =>
        {
            _loading--;
            _working--;
            Enter(message, error);
        });
    }

    /// <summary>Reads a message and resolves its recipients; what went wrong, or null. Touches nothing but the message.</summary>
    private async ValueTask<string?> LoadAsync(ActiveMessage message)
    {
        StoredMessage? stored;
        try
        {
            stored = await _store.LoadAsync(message.QueueId, _stop);
        }
        catch (IOException error)
        {
            return error.Message;
        }

        if (stored is null)
        {
            return "no such message";
        }

        message.Begin(stored);
        message.Routes = new ResolvedAddress?[message.Recipients.Count];
        for (int i = 0; i < message.Routes.Length; i++)
        {
            if (message.Progress[i] == RecipientProgress.Waiting)
            {
                message.Routes[i] = await _resolver.ResolveAsync(message.Envelope.Sender, message.Recipients[i].Address, _stop);
            }
        }

        return null;
    }

    /// <summary>A loaded message becomes active, is parked, or (gone, damaged, withdrawn meanwhile) is let go.</summary>
    private void Enter(ActiveMessage message, string? error)
    {
        HasReturned(message);
        if (error is not null || IsStopping || message.IsWithdrawn || message.IsRerouted)
        {
            if (error is null && !IsStopping)
            {
                Resume(message);
            }
            else if (!IsStopping && _store.TryGetEntry(message.QueueId, out QueueEntry entry) && entry.Queue != QueueName.Corrupt)
            {
                // The disk failed: the message is where it was, and is read again later. Not before the time in its row, which a
                // clock that was set back may have put later still: an entry before that is out of date for who takes it.
                _log.Warning($"{message.QueueId}: cannot read queue file: {error}");
                DateTimeOffset next = _now + _options.MinimalBackoff;
                _deferred.Add(message.QueueId, entry.NextAttempt > next ? entry.NextAttempt : next);
            }

            LeaveActive(message);
            TellThatItLeft(message);
            return;
        }

        message.HasEntered = true;
        message.Activated = _now;
        int pending = 0;
        foreach (RecipientProgress progress in message.Progress)
        {
            pending += progress == RecipientProgress.Waiting ? 1 : 0;
        }

        if (pending > 0 && TryPark(message))
        {
            return;
        }

        message.Counted = pending;
        message.Open = pending;
        _activeRecipients += pending;
        LogActive(message);
        List<int> waiting = [];
        for (int i = 0; i < message.Progress.Length; i++)
        {
            if (message.Routes[i] is not { } route)
            {
                continue;
            }

            if (message.ForceExpire)
            {
                GiveUp(message, i, route);
            }
            else if (new Via(message.Recipients[i].Via).IsPart)
            {
                waiting.Add(i);
            }
            else
            {
                Schedule(message, i, route);
            }
        }

        message.Routes = [];
        ForwardWaiting(message, waiting);
        if (message.Open == 0)
        {
            EndRound(message);
            WriteRecords();
        }
        else
        {
            _entered.Add(message);
        }
    }

    /// <summary>An expired message is not tried: its recipients fail with the reason they last waited for.</summary>
    private static void GiveUp(ActiveMessage message, int index, ResolvedAddress route)
    {
        RecipientState state = message.Stored!.States[index];
        bool waited = state.DelayReason.Length > 0;
        RecipientResult result = new(
            index,
            DeliveryStatus.Deferred,
            waited && state.DelayDsn.Length > 0 ? state.DelayDsn : "4.7.0",
            waited ? state.DelayReason : "message is administratively expired",
            "none");
        message.Open--;
        message.Progress[index] = RecipientProgress.Deferred;
        message.Reports ??= [];
        message.Reports.Add(new RecipientReport(message.Recipients[index], route.Address, result));
    }

    private void LogActive(ActiveMessage message)
    {
        Envelope envelope = message.Envelope;
        _log.Info($"{message.QueueId}: from=<{AddressText.ToExternal(envelope.Sender)}>, size={envelope.Size}, nrcpt={message.Recipients.Count} (queue active)");
    }

    /// <summary>Messages of this turn that found no free delivery give files, and memory above the limit, back.</summary>
    private void LimitContent()
    {
        foreach (ActiveMessage message in _entered)
        {
            if (message.InFlight > 0 || message.HasEnded || message.Stored is not { } stored)
            {
                continue;
            }

            if (!stored.Content.TryGetMemory(out ReadOnlyMemory<byte> bytes) || _waitingContent + bytes.Length > WaitingContentLimit)
            {
                message.Release();
                continue;
            }

            message.HeldContent = bytes.Length;
            _waitingContent += bytes.Length;
        }

        _entered.Clear();
    }

    private void LeaveActive(ActiveMessage message)
    {
        message.Release();
        _waitingContent -= message.HeldContent;
        message.HeldContent = 0;
        _active.Remove(message.QueueId);
        _activeDeferred -= message.IsFromDeferred ? 1 : 0;
        _activeRecipients -= message.Counted;
        message.Counted = 0;
    }

    private void TellThatItLeft(ActiveMessage message)
    {
        if (message.WhenLeft is { } tell)
        {
            WriteRecords();
            tell();
        }
    }
}
