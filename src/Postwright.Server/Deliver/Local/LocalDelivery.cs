using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// local(8): alias, .forward, mailbox, in this order. What expands to addresses goes back to the queue as new recipients, each
/// durable before the old one is done; a recipient that is one command, file or mailbox is delivered here. See
/// docs/adr/0002-agent-frames.md for how a member of an expansion stays delivered once.
/// </summary>
internal sealed class LocalDelivery(LocalOptions options, IHost host, TimeProvider time, MailLog log) : IDeliveryService
{
    /// <inheritdoc />
    public RecipientResult Deliver(AgentRequest request, AgentRecipient recipient, CancellationToken cancellationToken)
    {
        var via = new Via(recipient.Via);
        RecipientParts parts = RecipientParts.Parse(recipient.Address, options);
        AgentRecipient plain = parts.MailboxOnly ? recipient with { Address = recipient.Address[1..] } : recipient;
        var context = new LocalContext
        {
            Options = options,
            Host = host,
            Time = time,
            Log = log,
            Request = request,
            Recipient = plain,
            Parts = parts,
            Via = via.WithoutMember,
            MemberKey = via.Member,
            Sender = request.Sender,
            CancellationToken = cancellationToken,
        };
        RecipientResult result = Deliver(context, via);
        return parts.MailboxOnly ? result with { LoggedAddress = plain.Address } : result;
    }

    private static RecipientResult Deliver(LocalContext context, Via via)
    {
        if (context.Parts.Local.Length == 0)
        {
            context.Log.Warning($"{context.Request.QueueId}: null username in \"{context.Recipient.Address}\"");
            return context.Bounce("5.1.3", "null username in recipient address");
        }

        if (via.Text.Length > Via.LengthLimit || via.Count > Via.StepLimit)
        {
            context.Log.Warning($"{context.Request.QueueId}: alias database loop for {context.Parts.Local}");
            return context.Bounce("5.4.6", $"alias database loop for {context.Parts.Local}");
        }

        return IsLoop(context)
            ? context.Bounce("5.4.6", $"mail forwarding loop for {context.Recipient.Address}")
            : Switch(context);
    }

    private static RecipientResult Switch(LocalContext context)
    {
        if (!context.Parts.MailboxOnly && Aliases.Deliver(context) is { } expanded)
        {
            return expanded;
        }

        HostLookup lookup = context.Host.FindUser(context.Parts.User, out UserEntry? user);
        if (lookup == HostLookup.Unavailable)
        {
            context.Log.Warning($"{context.Request.QueueId}: error looking up passwd info for {context.Parts.User}");
            return context.Defer("4.3.0", "user lookup error");
        }

        if (user is null)
        {
            return UnknownUser(context);
        }

        if (context.Options.RequireHomeDirectory && UserMailbox.HomeTrouble(user) is { } trouble)
        {
            return context.Defer("4.3.0", trouble);
        }

        return (context.Parts.MailboxOnly ? null : DotForward.Deliver(context, user)) ?? UserMailbox.Deliver(context, user);
    }

    private static RecipientResult UnknownUser(LocalContext context)
    {
        string name = context.Parts.User;
        if (context.Options.LuserRelay.Length > 0 && !context.Via.HasAny('l'))
        {
            var expander = new Expander(context);
            expander.Add(
                context.Expand(context.Options.LuserRelay, null, context.Options.ForwardExpansionFilter).Text, ExpansionSource.Alias, null);
            if (expander.Expansion.Members.Count > 0)
            {
                return MemberDelivery.Deliver(context, new ExpansionStep(expander.Expansion, 'l', null, null));
            }
        }

        if (name is "mailer-daemon" or "postmaster")
        {
            context.Log.Warning($"{context.Request.QueueId}: required alias not found: {name}");
            return context.Result(DeliveryStatus.Sent, "2.0.0", "discarded");
        }

        return context.Bounce("5.1.1", $"unknown user: \"{name}\"");
    }

    // Mail that has passed this recipient before says so in a header; mail that is still in this queue says so in its Via.
    // The last .forward being the recipient's own is no loop: a user who lists himself keeps a copy.
    private static bool IsLoop(LocalContext context)
        => DeliveredHeaders.Contain(context.Request.Content, context.Recipient.Address)
            || (context.Via.Has('f', context.Recipient.Address)
                && !string.Equals(context.Via.LastForward, context.Recipient.Address, StringComparison.OrdinalIgnoreCase));
}
