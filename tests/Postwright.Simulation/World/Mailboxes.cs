using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Simulation.Engine;
using Postwright.Simulation.Ledger;

namespace Postwright.Simulation.World;

/// <summary>
/// Local and virtual delivery of one agent process: puts messages into the world's mailboxes, which outlive it. What becomes of a
/// recipient its name says; between the effect and the answer time passes, in which mail or the agent may die.
/// </summary>
internal sealed class Mailboxes(SimWorld world, SimTime time, Rng chance)
{
    /// <summary>Delivers to one recipient.</summary>
    /// <param name="request">What mail asked for.</param>
    /// <param name="recipient">One of its recipients.</param>
    /// <param name="content">The message.</param>
    /// <param name="life">The mail process that asked; it may be dead by now.</param>
    /// <param name="effects">Where an effect is noted that mail has not heard of yet.</param>
    public async ValueTask<RecipientResult> DeliverAsync(AgentRequest request, AgentRecipient recipient, byte[] content, Life life, List<Effect> effects)
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

        if (await PutAsync(request, address, content, life) is { } effect)
        {
            effects.Add(effect);
        }

        await PauseAsync(trouble == 2 ? 30_000 : 30);
        return new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "delivered to mailbox", "local");
    }

    /// <summary>The effect, or what a test has planted in its place.</summary>
    private async ValueTask<Effect?> PutAsync(AgentRequest request, string address, byte[] content, Life life)
    {
        switch (world.Planted)
        {
            case PlantedFault.MailboxSwallows:
                return null;
            case PlantedFault.MailboxDoubles:
                world.Ledger.Delivered(content, address, request.Service, life).Answered();
                break;
            case PlantedFault.MailboxLosesAByte:
                content = content[..^1];
                break;
            case PlantedFault.MailboxMixesUp:
                address = "somebody@else.example";
                break;
            case PlantedFault.MailboxHangs:
                await Task.Delay(Timeout.InfiniteTimeSpan, time);
                break;
            case PlantedFault.MailboxEscapes:
                await Task.Run(static () => Thread.Sleep(1));
                break;
        }

        return world.Ledger.Delivered(content, address, request.Service, life);
    }

    private RecipientResult Expand(AgentRequest request, AgentRecipient recipient, string fate)
    {
        string own = recipient.Address[..recipient.Address.IndexOf('@', StringComparison.Ordinal)][(fate.Length + 1)..];
        string domain = recipient.Address[(recipient.Address.IndexOf('@', StringComparison.Ordinal) + 1)..];
        string[] members = fate == "list"
            ? [$"ok.{own}x1@{domain}", $"defer.{own}x2@{domain}", $"bounce.{own}x3@{domain}"]
            : [$"ok.{own}y1@{domain}", $"ok.{own}y2@remote2.example"];
        world.Ledger.Expanded(request.QueueId, recipient.Address, members);
        return new RecipientResult(recipient.Index, DeliveryStatus.Expanded, "2.0.0", "expanded", "local")
        {
            Into = [.. members.Select(member => new EnvelopeRecipient(member, recipient.Address, recipient.Notify))],
        };
    }

    private async ValueTask PauseAsync(int most)
    {
        if (chance.Percent(60))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(chance.Between(0, most)), time);
        }
    }
}
