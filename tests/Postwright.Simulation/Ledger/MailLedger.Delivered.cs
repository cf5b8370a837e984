using System.Globalization;
using Postwright.Server.Queue.Spool;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

// What may reach a recipient: the content as it was accepted, and a second time only for a reason.
internal sealed partial class MailLedger
{
    private void CheckDelivery(Copy copy, Effect effect)
    {
        if (copy.Entry is { } entry && entry.RecipientCount != copy.Recipients.Count && !entry.Has(EntryFlags.Removed))
        {
            Load(copy, world.Serving!);
        }

        if (!copy.IsPublished || !copy.Recipients.Contains(effect.Address))
        {
            Fail($"{copy} was delivered to {effect.Address}, which is no recipient of it");
        }

        bool isOrphan = effect.IsLocal && effect.IsForgotten;
        if (copy.HasLeftForGood && !copy.DeleteAsked && !isOrphan)
        {
            FailUnlessRot(copy, $"was delivered to {effect.Address} after it had left the queue");
        }

        foreach (Effect earlier in copy.Effects.Where(earlier => earlier.Address == effect.Address && !earlier.IsExcused))
        {
            earlier.IsExcused = true;
            if (earlier.IsForgotten)
            {
                Count("duplicate (b): a crash between a delivery and its durable result");
            }
            else if (isOrphan)
            {
                Count("duplicate (b): the agent finished what a killed mail process had asked for");
            }
            else if (!earlier.IsLocal && !earlier.IsAnswered)
            {
                Count("duplicate (a): the final dot was sent and its reply was not seen");
            }
            else
            {
                FailUnlessRot(copy, $"was delivered to {effect.Address} twice, without a cause");
            }
        }

        if (RequeuedAs(copy, effect.Address))
        {
            if (_order.Exists(other => other.Origin == CopyOrigin.Requeue && other.Parent == copy.QueueId && other.IsPublished && !IsExcused(other)) && !isOrphan)
            {
                Fail($"{copy} was delivered to {effect.Address} after it had been requeued");
            }

            Count("duplicate (b): a crash between a requeue and its durable result");
        }
    }

    private void CheckContent(Copy copy, Letter.Found found)
    {
        if (found.Number == 0)
        {
            // A notice; it may have been requeued since.
            Copy first = copy;
            while (first.Origin == CopyOrigin.Requeue && _copies.TryGetValue(first.Parent, out Copy? old))
            {
                first = old;
            }

            if (first.Origin != CopyOrigin.Notice)
            {
                Fail($"{copy} has lost its header");
            }

            return;
        }

        if (copy.Transaction is not { } transaction || transaction.Message.Number != found.Number)
        {
            Fail($"{copy} has the content of m{found.Number}");
            return;
        }

        byte[] body = Letter.Body(world.Plan.Seed, transaction.Message);
        if (!found.Body.AsSpan().SequenceEqual(body))
        {
            Fail(string.Create(CultureInfo.InvariantCulture, $"{copy}: the body differs ({found.Body.Length} bytes, {body.Length} were sent)"));
        }
    }
}
