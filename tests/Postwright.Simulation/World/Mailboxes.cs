using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;

namespace Postwright.Simulation.World;

/// <summary>
/// Local and virtual delivery of one process: puts messages into the world's mailboxes, which outlive it. What becomes of a
/// recipient its name says; between the effect and the answer time passes, in which the process may die.
/// </summary>
internal sealed class Mailboxes(SimWorld world, Life life, Rng chance) : IDeliveryAgent
{
    public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        life.Deliveries++;
        try
        {
            return await DeliverAllAsync(request, cancellationToken);
        }
        finally
        {
            life.Deliveries--;
        }
    }

    private async ValueTask<IReadOnlyList<RecipientResult>> DeliverAllAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        byte[] content = new byte[request.Content.Length];
        for (int done = 0; done < content.Length;)
        {
            int count = await request.Content.ReadAsync(done, content.AsMemory(done), cancellationToken);
            done += count > 0 ? count : throw new IOException("the content is shorter than it was");
        }

        List<RecipientResult> results = [];
        foreach (DeliveryRecipient recipient in request.Recipients)
        {
            results.Add(cancellationToken.IsCancellationRequested
                ? new RecipientResult(recipient.Index, DeliveryStatus.Deferred, "4.3.2", "shutdown", "local")
                : await DeliverAsync(request, recipient, content));
        }

        return results;
    }

    private async ValueTask<RecipientResult> DeliverAsync(DeliveryRequest request, DeliveryRecipient recipient, byte[] content)
    {
        string address = recipient.Address;
        string fate = address.Split('.')[0];
        bool calm = world.IsCalm;
        await PauseAsync(fate == "slow" ? 100_000 : world.MailboxTrouble == 2 ? 30_000 : 40);
        int trouble = calm ? 0 : world.MailboxTrouble;
        if (fate == "bounce")
        {
            world.Ledger.RefusedForGood(address);
            return new RecipientResult(recipient.Index, DeliveryStatus.Bounced, "5.1.1", "unknown user", "local");
        }

        if (trouble == 1 || (fate == "defer" && chance.Percent(75)))
        {
            return new RecipientResult(recipient.Index, DeliveryStatus.Deferred, "4.2.0", "mailbox is busy", "local");
        }

        if (fate is "list" or "outlist")
        {
            return Expand(request, recipient, fate);
        }

        Effect? effect = life.IsDead ? null : await PutAsync(request, address, content);
        await PauseAsync(trouble == 2 ? 30_000 : 30);
        effect?.Answered();
        return new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "delivered to mailbox", "local");
    }

    /// <summary>The effect, or what a test has planted in its place.</summary>
    private async ValueTask<Effect?> PutAsync(DeliveryRequest request, string address, byte[] content)
    {
        switch (world.Planted)
        {
            case PlantedFault.MailboxSwallows:
                return null;
            case PlantedFault.MailboxDoubles:
                world.Ledger.Delivered(content, address, request.Transport, life).Answered();
                break;
            case PlantedFault.MailboxLosesAByte:
                content = content[..^1];
                break;
            case PlantedFault.MailboxMixesUp:
                address = "somebody@else.example";
                break;
            case PlantedFault.MailboxHangs:
                await Task.Delay(Timeout.InfiniteTimeSpan, life.Time);
                break;
            case PlantedFault.MailboxEscapes:
                await Task.Run(static () => Thread.Sleep(1));
                break;
        }

        return world.Ledger.Delivered(content, address, request.Transport, life);
    }

    private RecipientResult Expand(DeliveryRequest request, DeliveryRecipient recipient, string fate)
    {
        string own = recipient.Address[..recipient.Address.IndexOf('@', StringComparison.Ordinal)][(fate.Length + 1)..];
        string domain = recipient.Address[(recipient.Address.IndexOf('@', StringComparison.Ordinal) + 1)..];
        string[] members = fate == "list"
            ? [$"ok.{own}x1@{domain}", $"defer.{own}x2@{domain}", $"bounce.{own}x3@{domain}"]
            : [$"ok.{own}y1@{domain}", $"ok.{own}y2@remote2.example"];
        world.Ledger.Expanded(request.Envelope.QueueId, recipient.Address, members);
        return new RecipientResult(recipient.Index, DeliveryStatus.Expanded, "2.0.0", "expanded", "local")
        {
            Into = [.. members.Select(member => new EnvelopeRecipient(member, recipient.Address, recipient.Recipient.Notify))],
        };
    }

    private async ValueTask PauseAsync(int most)
    {
        if (chance.Percent(60))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(chance.Between(0, most)), life.Time);
        }
    }
}
