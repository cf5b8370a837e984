using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Local;

/// <summary>One step of expansion.</summary>
/// <param name="Expansion">What it came to.</param>
/// <param name="Kind">The step in <see cref="Via"/>'s notation.</param>
/// <param name="Owner">The new sender where an owner-alias says so, else null.</param>
/// <param name="Unmatched">The extension that the alias's name lacked, for propagate_unmatched_extensions.</param>
internal sealed record ExpansionStep(Expansion Expansion, char Kind, string? Owner, string? Unmatched);

/// <summary>
/// Delivers to what a recipient expands to. A single command or file is done here and now; everything else becomes recipients
/// of their own, so that each is durable, retried and done by itself. A command or file among others becomes a recipient of
/// the same address that names the member in its Via; when it comes back, the address is expanded again and that member alone
/// is delivered. Should the alias have changed meanwhile and have no such member, it is expanded as it is now.
/// </summary>
internal static class MemberDelivery
{
    /// <summary>Delivers, or hands the members to the queue.</summary>
    public static RecipientResult Deliver(LocalContext context, ExpansionStep step)
    {
        IReadOnlyList<Member> members = step.Expansion.Members;
        if (step.Expansion.IsTooLarge)
        {
            context.Log.Warning($"{context.Request.QueueId}: {context.Recipient.Address} expands to more than {Expansion.MemberLimit} recipients");
            return context.Defer("4.3.5", "mail system configuration error");
        }

        LocalContext own = step.Owner is null ? context : context with { Sender = step.Owner };
        if (context.MemberKey is { } key && members.FirstOrDefault(one => one.Kind != MemberKind.Address && one.Key == key) is { } chosen)
        {
            return Direct(own, chosen);
        }

        return members is [{ Kind: not MemberKind.Address } single] ? Direct(own, single) : Expand(context, step);
    }

    private static RecipientResult Direct(LocalContext context, Member member) => member.Kind switch
    {
        MemberKind.Command => CommandDelivery.Deliver(context, member.Text, member.Rights, member.Source),
        MemberKind.File => FileDelivery.Deliver(context, member),
        _ => member.Failure.ToResult(context.Recipient.Index, "", context.Request.Service),
    };

    private static RecipientResult Expand(LocalContext context, ExpansionStep step)
    {
        var into = new List<EnvelopeRecipient>(step.Expansion.Members.Count);
        foreach (Member member in step.Expansion.Members)
        {
            into.Add(Recipient(context, step, member));
        }

        return context.Result(DeliveryStatus.Expanded, "2.0.0", "alias expanded") with { Into = into, NewSender = step.Owner };
    }

    private static EnvelopeRecipient Recipient(LocalContext context, ExpansionStep step, Member member)
    {
        Agent.AgentRecipient from = context.Recipient;
        if (member.Kind != MemberKind.Address)
        {
            return new EnvelopeRecipient(from.Address, from.OriginalAddress, from.Notify, from.DsnOriginalRecipient)
            {
                Via = context.Via.Add('m', member.Key).Text,
            };
        }

        string address = WithExtension(context, member, step.Unmatched);
        char kind = member.Source == ExpansionSource.Include && step.Kind == 'a' ? 'o' : step.Kind;
        string via = context.Via.Add(kind, from.Address).Text;

        // A mailing list is a message of its own: its members are not what the author asked to be told about (RFC 3461, 5.2.7.3).
        return step.Owner is null
            ? new EnvelopeRecipient(address, from.OriginalAddress, from.Notify, from.DsnOriginalRecipient) { Via = via }
            : new EnvelopeRecipient(address, address) { Via = via };
    }

    private static string WithExtension(LocalContext context, Member member, string? unmatched)
    {
        int at = member.Text.LastIndexOf('@');
        bool wanted = unmatched is not null && at > 0 && context.Options.PropagateExtensions.HasFlag(member.Source);
        return wanted ? $"{member.Text[..at]}{context.Parts.Delimiter}{unmatched}{member.Text[at..]}" : member.Text;
    }
}
