namespace Postwright.Simulation.Ledger;

// What has left the queue has become something: every recipient has an end.
internal sealed partial class MailLedger
{
    /// <summary>At the end nothing is left, and everybody got what was promised.</summary>
    public void Finish()
    {
        foreach (Copy copy in _order.Where(static copy => copy.IsPublished && !copy.HasLeft))
        {
            Fail($"{copy} is still in the queue at the end");
        }

        foreach (Transaction transaction in _transactions.Values.Where(static transaction => transaction.Code / 100 == 2))
        {
            if (transaction.Copy is not { IsPublished: true } copy || !(copy.IsAcknowledged || transaction.IsLocal))
            {
                Fail($"m{transaction.Message.Number} was accepted and never was in the queue");
            }
        }
    }

    /// <summary>It left the queue: every recipient has an end.</summary>
    private void CheckLeft(Copy copy)
    {
        foreach (string recipient in copy.Recipients)
        {
            string? reason = Reason(copy, recipient)
                ?? (copy.RequeueAsked && RequeuedAs(copy, recipient) ? "replaced by its requeued copy" : null)
                ?? (copy.DeleteAsked ? "deleted by the administrator" : null)
                ?? (copy.IsDamaged ? "kept in the corrupt queue" : null);
            if (reason is null)
            {
                Fail($"{copy} has left the queue, and nobody knows what became of {recipient}");
                return;
            }

            Count(reason);
        }

        world.History.Note("ledger", $"left {copy.QueueId}");
    }

    /// <summary>What became of a recipient; null if nothing has yet.</summary>
    private string? Reason(Copy copy, string recipient)
    {
        if (copy.Effects.Exists(effect => effect.Address == recipient))
        {
            return "delivered";
        }

        if (copy.Discarded.Contains(recipient))
        {
            return copy.Sender.StartsWith("double-bounce@", StringComparison.Ordinal) ? "dropped as an undeliverable notice" : "discarded";
        }

        if (copy.Expansions.TryGetValue(recipient, out string[]? members) && members.All(member => copy.Recipients.Contains(member) || IsForwarded(copy, member)))
        {
            return "replaced by its expansion";
        }

        if (_order.Exists(notice => notice.IsPublished && notice.Parent == copy.QueueId && notice.NoticeAction == "failed" && notice.Told.Contains(recipient)))
        {
            return "bounced";
        }

        bool tellsNobody = copy.Sender.Length == 0 || copy.Sender.StartsWith("double-bounce@", StringComparison.Ordinal);
        return tellsNobody && (copy.IsExpired || copy.Bounced.Contains(recipient)) ? "dropped as an undeliverable notice" : null;
    }

    private bool IsForwarded(Copy copy, string member) =>
        copy.ForwardedAs.Any(id => _copies.TryGetValue(id, out Copy? other) && other.IsPublished && other.Recipients.Contains(member));

    private bool RequeuedAs(Copy copy, string recipient) =>
        _order.Exists(other => other.Origin == CopyOrigin.Requeue && other.Parent == copy.QueueId && other.IsPublished && other.Recipients.Contains(recipient));
}
