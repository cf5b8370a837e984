using Postwright.Protocol.Mail;
using Postwright.Server.Cleanup;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Local;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Route;

namespace Postwright.Server.Queue;

// A recipient that an alias or .forward file turned into others. Members that the same transport delivers become recipients
// of the same message. Members elsewhere go into a new message, as in Postfix: it has a Delivered-To: header by which a loop
// over other machines is seen, and passes virtual_alias_maps. Members with another sender (owner-alias) go into new messages
// in any case. Everything new is durable before, or with, the record that the recipient is done.

public sealed partial class QueueManager
{
    /// <summary>What an expansion came to, outside the loop.</summary>
    private sealed class ExpansionOutcome
    {
        public List<EnvelopeRecipient> Here { get; } = [];

        public List<ResolvedAddress> Routes { get; } = [];

        public List<string> ForwardedAs { get; } = [];

        /// <summary>Why the expansion is not done; null when it is.</summary>
        public RecipientResult? Failure { get; set; }
    }

    private void Expand(ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport)
    {
        _working++;
        _ = ExpandAsync(message, recipient, result, transport);
    }

    private async Task ExpandAsync(ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport)
    {
        await Task.Yield();
        ExpansionOutcome outcome = new();
        try
        {
            List<EnvelopeRecipient> elsewhere = [];
            foreach (EnvelopeRecipient member in result.Into)
            {
                EnvelopeRecipient complete = member with { Address = _rewriter.Rewrite(member.Address) };
                ResolvedAddress route = await _resolver.ResolveAsync(result.NewSender ?? message.Envelope.Sender, complete.Address, _stop);
                if (route.Status == ResolveStatus.Resolved && route.Transport != transport.Name)
                {
                    elsewhere.Add(complete);
                }
                else
                {
                    outcome.Here.Add(complete);
                    outcome.Routes.Add(route);
                }
            }

            if (result.NewSender is not null && outcome.Here.Count > 0)
            {
                await ForwardAsync(message, result, outcome, [.. outcome.Here], null);
                outcome.Here.Clear();
            }

            foreach (IGrouping<string, EnvelopeRecipient> group in elsewhere.GroupBy(member => member.Via))
            {
                IReadOnlyList<string> deliveredTo = DeliveredTo(new Via(group.Key), recipient.Address);
                await ForwardAsync(message, result, outcome, [.. group.Select(member => member with { Via = "" })], deliveredTo);
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            _log.Warning($"{message.QueueId}: cannot take over what {recipient.Address} expands to: {error.Message}");
            outcome.Failure = new RecipientResult(result.Index, DeliveryStatus.Deferred, "4.3.0", "queue file write error", result.Relay);
        }

        Post(() =>
        {
            _working--;
            FinishExpansion(message, recipient, result, transport, outcome);
        });
    }

    private static List<string> DeliveredTo(Via via, string address)
    {
        (string? latest, IReadOnlyList<string> earlier) = via.Trace();
        List<string> all = latest is null ? [.. earlier] : [latest, .. earlier];
        return all.Count == 0 ? [address] : all;
    }

    /// <summary>Makes a new message of the members, with trace headers where it leaves for elsewhere.</summary>
    private async ValueTask ForwardAsync(
        ActiveMessage message, RecipientResult result, ExpansionOutcome outcome, IReadOnlyList<EnvelopeRecipient> members, IReadOnlyList<string>? deliveredTo)
    {
        if (outcome.Failure is not null)
        {
            return;
        }

        using StoredMessage stored = await _store.LoadAsync(message.QueueId, _stop) ?? throw new IOException("queue file is gone");
        DateTimeOffset now = _time.GetUtcNow();
        Envelope envelope = stored.Envelope with
        {
            QueueId = _store.NewQueueId(),
            Arrival = now,
            Sender = result.NewSender ?? stored.Envelope.Sender,
            EnvelopeId = result.NewSender is null ? stored.Envelope.EnvelopeId : "",
            Recipients = [],
            MaildropKey = "",
            Hold = false,
        };
        using ICleanupMessage copy = _cleanup!.Begin(envelope, deliveredTo is null ? CleanupOptions.None : CleanupOptions.VirtualAliases | CleanupOptions.HopCount);
        foreach (EnvelopeRecipient member in members)
        {
            copy.AddRecipient(member);
        }

        if (deliveredTo is not null)
        {
            await copy.WriteAsync(_reports.TraceHeaders(envelope.QueueId, MailDate.Format(now, _time.LocalTimeZone), deliveredTo), _stop);
        }

        await CopyContentAsync(stored.Content, copy, _stop);
        CleanupStatus status = await copy.FinishAsync(_stop);
        if (status is CleanupStatus.Queued or CleanupStatus.Discarded)
        {
            outcome.ForwardedAs.Add(envelope.QueueId);
            return;
        }

        outcome.Failure = status == CleanupStatus.TooManyHops
            ? new RecipientResult(result.Index, DeliveryStatus.Bounced, "5.4.0", "too many hops", result.Relay)
            : new RecipientResult(result.Index, DeliveryStatus.Deferred, "4.3.0", "queue file write error", result.Relay);
    }

    private void FinishExpansion(
        ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport, ExpansionOutcome outcome)
    {
        if (outcome.Failure is { } failure)
        {
            LogResult(message, recipient, failure, transport);
            Account(message, recipient, failure, transport);
            RoundMayEnd(message);
            return;
        }

        if (outcome.ForwardedAs.Count > 0)
        {
            string ids = string.Join(", ", outcome.ForwardedAs);
            LogResult(message, recipient, result with { Status = DeliveryStatus.Sent, Reason = $"forwarded as {ids}" }, transport);
        }

        DropDuplicates(message, outcome);
        message.Open--;
        message.Progress[recipient.Index] = RecipientProgress.Done;
        if (!message.IsRemoved)
        {
            RecordDone(message);
            _changes.Add(outcome.Here.Count == 0
                ? new RecipientsDone(message.QueueId, [recipient.Index])
                : new RecipientExpanded(message.QueueId, recipient.Index, outcome.Here));
        }

        ScheduleExpansion(message, outcome);
        RoundMayEnd(message);
    }

    private void ScheduleExpansion(ActiveMessage message, ExpansionOutcome outcome)
    {
        int first = message.Append(outcome.Here);
        if (IsStopping || message.IsWithdrawn)
        {
            return;
        }

        message.Open += outcome.Here.Count;
        message.Counted += outcome.Here.Count;
        _activeRecipients += outcome.Here.Count;
        for (int i = 0; i < outcome.Here.Count; i++)
        {
            Schedule(message, first + i, outcome.Routes[i]);
        }
    }

    /// <summary>
    /// A member of two nested lists gets one copy. What the recipient itself came through is no duplicate but a loop, which
    /// local(8) ends and reports; a command or file is told apart by its Via.
    /// </summary>
    private static void DropDuplicates(ActiveMessage message, ExpansionOutcome outcome)
    {
        HashSet<string> known = new(StringComparer.OrdinalIgnoreCase);
        foreach (EnvelopeRecipient existing in message.Recipients)
        {
            if (existing.Via.Length > 0 && new Via(existing.Via).Member is null)
            {
                known.Add(existing.Address);
            }
        }

        for (int i = outcome.Here.Count - 1; i >= 0; i--)
        {
            EnvelopeRecipient member = outcome.Here[i];
            Via via = new(member.Via);
            bool cameThrough = via.Has('a', member.Address) || via.Has('o', member.Address) || via.Has('f', member.Address);
            if (via.Member is null && !cameThrough && known.Contains(member.Address))
            {
                outcome.Here.RemoveAt(i);
                outcome.Routes.RemoveAt(i);
            }
        }
    }

    private void LogResult(ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport)
    {
        Delays delays = new(message.Activated - message.Envelope.Arrival, TimeSpan.Zero, result.Setup, _now - message.Activated);
        transport.Service.Log.Info(_deliveryLog.Line(message.QueueId, recipient.Address, recipient.Recipient.OriginalAddress, delays, result));
    }
}
