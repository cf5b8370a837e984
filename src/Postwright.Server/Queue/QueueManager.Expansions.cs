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
//
// An expansion may need several new messages: its parts. When one cannot be made, those before it stay made: the recipient is
// done, and the members of the others wait as recipients of this message, marked (Via.AsPart), to be forwarded in a later round.
// Only a crash between a part and that record makes a part twice.

public sealed partial class QueueManager
{
    /// <summary>What an expansion came to, outside the loop.</summary>
    private sealed class ExpansionOutcome
    {
        public List<EnvelopeRecipient> Here { get; } = [];

        public List<ResolvedAddress> Routes { get; } = [];

        public List<string> ForwardedAs { get; } = [];

        /// <summary>Members of the parts that were not forwarded, marked as such.</summary>
        public List<EnvelopeRecipient> Waiting { get; } = [];

        /// <summary>Why the expansion, or what waits of it, is not done; null when all is.</summary>
        public RecipientResult? Failure { get; set; }
    }

    /// <summary>Members that leave in one new message.</summary>
    /// <param name="NewSender">Its sender; null for the one of the message.</param>
    /// <param name="Members">Its recipients.</param>
    /// <param name="CameThrough">For mail that leaves for elsewhere: what its trace headers show; null for members that stay here.</param>
    private sealed record ExpansionPart(string? NewSender, IReadOnlyList<EnvelopeRecipient> Members, Via? CameThrough);

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

                // Where the tables cannot be asked, a virtual alias may be among the members: only the new message looks it up.
                bool isElsewhere = route.Status == ResolveStatus.Resolved ? route.Transport != transport.Name
                    : route.Status == ResolveStatus.TemporaryError && new Via(complete.Via).Member is null;
                if (isElsewhere)
                {
                    elsewhere.Add(complete);
                }
                else
                {
                    outcome.Here.Add(complete);
                    outcome.Routes.Add(route);
                }
            }

            List<ExpansionPart> parts = [];
            if (result.NewSender is not null && outcome.Here.Count > 0)
            {
                parts.Add(new ExpansionPart(result.NewSender, [.. outcome.Here], null));
                outcome.Here.Clear();
            }

            foreach (IGrouping<string, EnvelopeRecipient> group in elsewhere.GroupBy(member => member.Via))
            {
                Via via = new(group.Key);
                parts.Add(new ExpansionPart(result.NewSender, [.. group], via.Trace() is (null, []) ? via.Add('a', recipient.Address) : via));
            }

            foreach (ExpansionPart part in parts)
            {
                await TakePartAsync(message, part, outcome);
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            outcome.Failure = NotTakenOver(message, error);
        }

        Post(() =>
        {
            _working--;
            FinishExpansion(message, recipient, result, transport, outcome);
        });
    }

    /// <summary>Forwards a part; after a failure those that follow wait with it.</summary>
    private async ValueTask TakePartAsync(ActiveMessage message, ExpansionPart part, ExpansionOutcome outcome)
    {
        outcome.Failure ??= await ForwardAsync(message, part, outcome.ForwardedAs);
        if (outcome.Failure is not null && part.CameThrough is { } via)
        {
            outcome.Waiting.AddRange(part.Members.Select(member => member with { Via = via.AsPart(part.NewSender).Text }));
        }
    }

    private static List<string> DeliveredTo(Via via)
    {
        (string? latest, IReadOnlyList<string> earlier) = via.Trace();
        return latest is null ? [.. earlier] : [latest, .. earlier];
    }

    private RecipientResult NotTakenOver(ActiveMessage message, Exception error)
    {
        _log.Warning($"{message.QueueId}: cannot take over what a recipient expands to: {error.Message}");
        return NotForwarded(DeliveryStatus.Deferred, "4.3.0", "queue file write error");
    }

    /// <summary>Of no recipient yet, and nowhere.</summary>
    private static RecipientResult NotForwarded(DeliveryStatus status, string dsn, string reason) => new(0, status, dsn, reason, "none");

    /// <summary>Makes a new message of the members, with trace headers where it leaves for elsewhere. Why it could not; null when it is durable.</summary>
    private async ValueTask<RecipientResult?> ForwardAsync(ActiveMessage message, ExpansionPart part, List<string> forwardedAs)
    {
        try
        {
            (CleanupStatus status, string queueId) = await ForwardAsync(message, part);
            if (status is CleanupStatus.Queued or CleanupStatus.Discarded)
            {
                forwardedAs.Add(queueId);
                return null;
            }

            return status == CleanupStatus.TooManyHops
                ? NotForwarded(DeliveryStatus.Bounced, "5.4.0", "too many hops")
                : NotForwarded(DeliveryStatus.Deferred, "4.3.0", "queue file write error");
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            return NotTakenOver(message, error);
        }
    }

    private async ValueTask<(CleanupStatus Status, string QueueId)> ForwardAsync(ActiveMessage message, ExpansionPart part)
    {
        using StoredMessage stored = await _store.LoadAsync(message.QueueId, _stop) ?? throw new IOException("queue file is gone");
        DateTimeOffset now = _time.GetUtcNow();
        Envelope envelope = stored.Envelope with
        {
            QueueId = _store.NewQueueId(),
            Arrival = now,
            Sender = part.NewSender ?? stored.Envelope.Sender,
            EnvelopeId = part.NewSender is null ? stored.Envelope.EnvelopeId : "",
            Recipients = [],
            MaildropKey = "",
            Hold = false,
        };
        using ICleanupMessage copy = _cleanup!.Begin(envelope, part.CameThrough is null ? CleanupOptions.None : CleanupOptions.VirtualAliases | CleanupOptions.HopCount);
        foreach (EnvelopeRecipient member in part.Members)
        {
            copy.AddRecipient(part.CameThrough is null ? member : member with { Via = "" });
        }

        if (part.CameThrough is { } via)
        {
            await copy.WriteAsync(_reports.TraceHeaders(envelope.QueueId, MailDate.Format(now, _time.LocalTimeZone), DeliveredTo(via)), _stop);
        }

        await CopyContentAsync(stored.Content, copy, _stop);
        return (await copy.FinishAsync(_stop), envelope.QueueId);
    }

    private void FinishExpansion(
        ActiveMessage message, DeliveryRecipient recipient, RecipientResult result, TransportQueue transport, ExpansionOutcome outcome)
    {
        if (outcome.Failure is { } failure && outcome.ForwardedAs.Count == 0)
        {
            failure = failure with { Index = result.Index, Relay = result.Relay };
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
            _changes.Add(outcome.Here.Count + outcome.Waiting.Count == 0
                ? new RecipientsDone(message.QueueId, [recipient.Index])
                : new RecipientExpanded(message.QueueId, recipient.Index, [.. outcome.Here, .. outcome.Waiting]));
        }

        ScheduleExpansion(message, outcome, result, transport);
        RoundMayEnd(message);
    }

    private void ScheduleExpansion(ActiveMessage message, ExpansionOutcome outcome, RecipientResult result, TransportQueue transport)
    {
        int first = message.Append([.. outcome.Here, .. outcome.Waiting]);
        if (IsStopping || message.IsWithdrawn)
        {
            return;
        }

        int count = outcome.Here.Count + outcome.Waiting.Count;
        message.Open += count;
        message.Counted += count;
        _activeRecipients += count;
        for (int i = 0; i < outcome.Here.Count; i++)
        {
            Schedule(message, first + i, outcome.Routes[i]);
        }

        for (int i = outcome.Here.Count; i < count; i++)
        {
            EndWaiting(message, outcome.Failure! with { Index = first + i, Relay = result.Relay }, transport);
        }
    }

    /// <summary>Forwards what an earlier round could not.</summary>
    private void ForwardWaiting(ActiveMessage message, List<int> waiting)
    {
        if (waiting.Count > 0)
        {
            _working++;
            _ = ForwardWaitingAsync(message, message.Recipients, waiting);
        }
    }

    private async Task ForwardWaitingAsync(ActiveMessage message, IReadOnlyList<EnvelopeRecipient> recipients, List<int> waiting)
    {
        await Task.Yield();
        List<RecipientResult> results = [];
        foreach (IGrouping<string, int> group in waiting.GroupBy(index => recipients[index].Via))
        {
            Via via = new Via(group.Key).WithoutPart(out string? newSender);
            List<string> forwardedAs = [];
            RecipientResult result = await ForwardAsync(message, new ExpansionPart(newSender, [.. group.Select(index => recipients[index])], via), forwardedAs)
                ?? new RecipientResult(0, DeliveryStatus.Sent, "2.0.0", $"forwarded as {forwardedAs[0]}", "none");
            results.AddRange(group.Select(index => result with { Index = index }));
        }

        Post(() =>
        {
            _working--;
            results.ForEach(result => EndWaiting(message, result, FindTransport(RetryService)!));
            RoundMayEnd(message);
        });
    }

    private void EndWaiting(ActiveMessage message, RecipientResult result, TransportQueue transport)
    {
        EnvelopeRecipient member = message.Recipients[result.Index];
        DeliveryRecipient recipient = new(result.Index, member, member.Address);
        LogResult(message, recipient, result, transport);
        if (result.Status == DeliveryStatus.Sent)
        {
            // Whoever wants to be told of success is told by the new message.
            MarkDone(message, result.Index);
            message.Open--;
            return;
        }

        Account(message, recipient, result, transport);
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
