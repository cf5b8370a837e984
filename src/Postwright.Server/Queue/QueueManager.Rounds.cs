using Postwright.Server.Deliver;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Report;

namespace Postwright.Server.Queue;

// What follows a delivery, and the end of a message's round: done recipients go on record at once while others are still
// under way (so that a crash repeats as little as possible), then notices, then either the message is removed or its next
// attempt is recorded.

public sealed partial class QueueManager
{
    private void Finish(Delivery delivery)
    {
        ActiveMessage message = delivery.Message;
        Destination destination = delivery.Peer.Destination;
        TransportQueue transport = destination.Transport;
        transport.Busy--;
        destination.Busy--;
        message.InFlight--;
        if (!transport.IsImmediate && !IsStopping)
        {
            GiveFeedback(destination, delivery.Results);
            Pace(destination);
        }

        for (int i = 0; i < delivery.Results.Count; i++)
        {
            Account(message, delivery.Recipients[i], delivery.Results[i], transport);
        }

        transport.Offer(destination, _uptime);
        List(transport);
        Unpark(destination);
        transport.ForgetIfIdle(destination, _uptime);
        RoundMayEnd(message);
    }

    private void RoundMayEnd(ActiveMessage message)
    {
        if (message.Open == 0)
        {
            EndRound(message);
        }
        else
        {
            RecordDone(message);
        }
    }

    private void GiveFeedback(Destination destination, IReadOnlyList<RecipientResult> results)
    {
        RecipientResult? failure = null;
        foreach (RecipientResult result in results)
        {
            if (result is { Status: DeliveryStatus.Deferred, SiteFailure: true })
            {
                failure = result;
            }
        }

        if (failure is null)
        {
            destination.Succeeded();
            return;
        }

        if (!destination.Failed(failure.Dsn, failure.Reason, _uptime + _options.MinimalBackoff))
        {
            return;
        }

        // Dead now: whatever waits for it is deferred without an attempt of its own.
        Destination suspended = Redirect(RetryService, Suspended(destination.Dead!));
        while (destination.Waiting.TryDequeue(out Peer? peer))
        {
            peer.IsWaiting = false;
            Peer target = peer.Job.Message.JobFor(suspended.Transport).PeerFor(suspended);
            while (peer.Recipients.TryDequeue(out WaitingRecipient recipient))
            {
                target.Recipients.Enqueue(recipient);
            }

            if (!target.IsWaiting && target.Recipients.Count > 0)
            {
                target.IsWaiting = true;
                suspended.Transport.Enqueue(target, _uptime);
            }
        }

        List(suspended.Transport);
    }

    private void Pace(Destination destination)
    {
        TransportLimits limits = destination.Transport.Limits;
        if (limits.DestinationRateDelay > TimeSpan.Zero)
        {
            destination.NotBefore = _uptime + limits.DestinationRateDelay;
            _wakes.Enqueue(destination, destination.NotBefore);
        }

        if (limits.TransportRateDelay > TimeSpan.Zero)
        {
            destination.Transport.NotBefore = _uptime + limits.TransportRateDelay;
            _wakes.Enqueue(destination.Transport, destination.Transport.NotBefore);
        }
    }

    private void Account(ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport)
    {
        if (message.Progress[recipient.Index] != RecipientProgress.Waiting)
        {
            return;
        }

        switch (result.Status)
        {
            case DeliveryStatus.Expanded when !IsStopping:
                Expand(message, recipient, result, transport);
                return;
            case DeliveryStatus.Sent:
                MarkDone(message, recipient.Index);
                break;
            case DeliveryStatus.Bounced when !_options.SoftBounce:
                message.Progress[recipient.Index] = RecipientProgress.Bounced;
                break;
            default:
                message.Progress[recipient.Index] = RecipientProgress.Deferred;
                break;
        }

        message.Open--;
        if (result.Status != DeliveryStatus.Sent || recipient.Recipient.Notify.HasFlag(DsnNotify.Success))
        {
            message.Reports ??= [];
            message.Reports.Add(new RecipientReport(recipient.Recipient, recipient.Address, result));
        }
    }

    private static void MarkDone(ActiveMessage message, int index)
    {
        message.Progress[index] = RecipientProgress.Done;
        message.Unrecorded ??= [];
        message.Unrecorded.Add(index);
    }

    private void RecordDone(ActiveMessage message)
    {
        if (message.Unrecorded is { } done)
        {
            message.Unrecorded = null;
            if (!message.IsRemoved)
            {
                _changes.Add(new RecipientsDone(message.QueueId, done));
            }
        }
    }

    /// <summary>The same before notices are made, which may take long; those of whom one of them tells wait for it.</summary>
    private void RecordDone(ActiveMessage message, IReadOnlyList<RecipientReport> told)
    {
        if (message.Unrecorded is not { } done)
        {
            return;
        }

        HashSet<int> indices = [.. told.Select(static report => report.Result.Index)];
        List<int> waiting = [.. done.Where(indices.Contains)];
        done.RemoveAll(indices.Contains);
        message.Unrecorded = done.Count > 0 ? done : null;
        RecordDone(message);
        message.Unrecorded = waiting.Count > 0 ? waiting : null;
    }

    /// <summary>Every recipient of the round has a result.</summary>
    private void EndRound(ActiveMessage message)
    {
        if (message.HasEnded)
        {
            return;
        }

        message.HasEnded = true;
        if (IsStopping || message.IsWithdrawn)
        {
            // What was given up and not yet told stays pending: it is tried, and told, another time.
            Conclude(message);
            return;
        }

        RoundNotices due = NoticesDue(message);
        if (due.IsEmpty)
        {
            SettleFailures(message, due, true);
            Conclude(message);
            return;
        }

        RecordDone(message, due.Delivered);
        _working++;
        _ = NotifyAsync(message, due);
    }

    private void Conclude(ActiveMessage message)
    {
        LeaveActive(message);
        if (!message.IsRemoved)
        {
            if (message.AllDone)
            {
                _changes.Add(new MessageRemoved(message.QueueId));
                _log.Info($"{message.QueueId}: removed");
            }
            else
            {
                RecordDone(message);
                if (!Resume(message) && !IsStopping && !message.IsWithdrawn)
                {
                    Defer(message);
                }
            }
        }

        TellThatItLeft(message);
    }

    /// <summary>Lets a message that has left come back at once, if it is to.</summary>
    private bool Resume(ActiveMessage message)
    {
        bool comesBack = message.ComesBack || (message.IsRerouted && !message.IsWithdrawn);
        if (comesBack)
        {
            _resumed.Enqueue(new Resumption(message.QueueId, message.ComesBack || message.IsFlushed));
        }

        return comesBack;
    }

    private void Defer(ActiveMessage message)
    {
        DateTimeOffset next = _now + BackOff.Delay(_now - message.Envelope.Arrival, _options.MinimalBackoff, _options.MaximalBackoff);
        List<RecipientDelay> delays = [];
        foreach (RecipientReport report in message.Reports ?? [])
        {
            if (message.Progress[report.Result.Index] != RecipientProgress.Done)
            {
                delays.Add(new RecipientDelay(report.Result.Index, report.Result.Dsn, report.Result.Reason));
            }
        }

        _changes.Add(new MessageDeferred(message.QueueId, next, delays) { WarningsSent = message.WarningsSent });
        _deferred.Add(message.QueueId, next);
    }

    /// <summary>What the clock has brought: the end of rate delays, and the next look at the deferred queue.</summary>
    private void Wake()
    {
        while (_wakes.TryPeek(out object? what, out TimeSpan due) && due <= _uptime)
        {
            _wakes.Dequeue();
            if (what is Destination destination)
            {
                destination.Transport.Offer(destination, _uptime);
                List(destination.Transport);
                destination.Transport.ForgetIfIdle(destination, _uptime);
            }
            else
            {
                List((TransportQueue)what);
            }
        }

        // After the clock was set back, what counted as due by the old time would be tried again and again without a pause.
        _runHorizon = _runHorizon > _now ? _now : _runHorizon;

        // A reload may have made the time between two looks shorter.
        _nextRun = _nextRun > _uptime + _options.QueueRunDelay ? _uptime + _options.QueueRunDelay : _nextRun;
        if (_nextRun <= _uptime)
        {
            _runHorizon = _now;
            _nextRun = _uptime + _options.QueueRunDelay;
            ForgetOldDestinations(all: false);
        }
    }

    /// <summary>Forgets dead destinations whose time is over, or all of them.</summary>
    private void ForgetOldDestinations(bool all)
    {
        foreach (TransportQueue transport in _queues.Values)
        {
            foreach (Destination destination in transport.Destinations.ToArray())
            {
                if (destination.Dead is { } dead && (all || dead.Until <= _uptime))
                {
                    destination.Revive();
                }

                transport.ForgetIfIdle(destination, _uptime);
            }
        }
    }

    private TimeSpan NextWake()
    {
        if (IsStopping)
        {
            return TimeSpan.MaxValue;
        }

        return _wakes.TryPeek(out _, out TimeSpan wake) && wake < _nextRun ? wake : _nextRun;
    }
}
