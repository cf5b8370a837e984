using Postwright.Protocol.Mail;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Report;

namespace Postwright.Server.Queue;

// The end of a round as its sender sees it. A message that is too old turns its delays into failures. Failures, the first
// delay past each age of delay_warning_time, and asked-for successes become notices; only once a failure's notice is
// durable are its recipients done. A notice that cannot be kept leaves them waiting for the next round.

public sealed partial class QueueManager
{
    private volatile Notices? _notices;

    /// <summary>What a round has to tell.</summary>
    private sealed record RoundNotices(
        IReadOnlyList<RecipientReport> Failed, IReadOnlyList<RecipientReport> Delayed, IReadOnlyList<RecipientReport> Delivered, int WarningsDue, TimeSpan WarningAge)
    {
        public static RoundNotices Nothing { get; } = new([], [], [], 0, default);

        /// <summary>True when nobody need be told.</summary>
        public bool IsEmpty { get; init; }
    }

    private RoundNotices NoticesDue(ActiveMessage message)
    {
        if (message.Reports is not { } reports)
        {
            return RoundNotices.Nothing with { IsEmpty = true };
        }

        TimeSpan age = _now - message.Envelope.Arrival;
        Expire(message, age);
        List<RecipientReport> failed = [], delayed = [], delivered = [];
        foreach (RecipientReport report in reports)
        {
            switch (message.Progress[report.Result.Index])
            {
                case RecipientProgress.Bounced:
                    failed.Add(report);
                    break;
                case RecipientProgress.Deferred:
                    delayed.Add(report);
                    break;
                case RecipientProgress.Done when report.WantsSuccess:
                    delivered.Add(report);
                    break;
                default:
                    break;
            }
        }

        int warnings = delayed.Count == 0 ? 0 : BackOff.WarningsDue(age, _options.DelayWarnings);
        bool warn = warnings > message.WarningsSent;
        bool tellFailure = failed.Count > 0 && _notices is { } notices && !notices.TellsNobody(message.Envelope.Sender);
        return new RoundNotices(failed, delayed, delivered, warn ? warnings : 0, warn ? _options.DelayWarnings[warnings - 1] : default)
        {
            IsEmpty = !tellFailure && !warn && delivered.Count == 0,
        };
    }

    private void Expire(ActiveMessage message, TimeSpan age)
    {
        TimeSpan lifetime = message.Envelope.Sender.Length == 0 ? _options.BounceLifetime : _options.MaximalLifetime;
        if (!message.ForceExpire && (_options.SoftBounce || age < lifetime))
        {
            return;
        }

        bool any = false;
        for (int i = 0; i < message.Progress.Length; i++)
        {
            if (message.Progress[i] == RecipientProgress.Deferred)
            {
                message.Progress[i] = RecipientProgress.Bounced;
                any = true;
            }
        }

        if (any)
        {
            string word = message.ForceExpire ? "force-expired" : "expired";
            _log.Info($"{message.QueueId}: from=<{AddressText.ToExternal(message.Envelope.Sender)}>, status={word}, returned to sender");
        }
    }

    /// <summary>Sends the round's notices outside the loop, and posts back what became of them.</summary>
    private async Task NotifyAsync(ActiveMessage message, RoundNotices due)
    {
        await Task.Yield();
        bool failuresTold = false;
        bool delayTold = false;
        StoredMessage? reloaded = null;
        try
        {
            reloaded = message.Stored is null ? await _store.LoadAsync(message.QueueId, _stop) : null;
            if ((message.Stored ?? reloaded)?.Content is { } content && _notices is { } notices)
            {
                Envelope envelope = message.Envelope;
                failuresTold = due.Failed.Count == 0 || await notices.FailedAsync(envelope, content, due.Failed, _stop);
                delayTold = due.WarningsDue > 0
                    && await notices.DelayedAsync(envelope, content, due.Delayed, due.WarningAge, _stop);
                if (due.Delivered.Count > 0)
                {
                    await notices.SucceededAsync(envelope, content, due.Delivered, _stop);
                }
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _log.Warning($"{message.QueueId}: cannot send notices: {error.Message}");
        }
        finally
        {
            reloaded?.Dispose();
        }

        Post(() =>
        {
            _working--;
            message.WarningsSent = delayTold ? due.WarningsDue : message.WarningsSent;
            SettleFailures(message, due, failuresTold);
            Conclude(message);
        });
    }

    private static void SettleFailures(ActiveMessage message, RoundNotices due, bool told)
    {
        foreach (RecipientReport report in due.Failed)
        {
            if (told)
            {
                MarkDone(message, report.Result.Index);
            }
            else
            {
                message.Progress[report.Result.Index] = RecipientProgress.Deferred;
            }
        }
    }
}
