using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>A recipient as the agent is told of it.</summary>
/// <param name="Index">Position in the envelope; comes back in the result.</param>
/// <param name="Address">What to deliver to, internal form.</param>
/// <param name="OriginalAddress">As it was given to us, for X-Original-To and ORIGINAL_RECIPIENT.</param>
/// <param name="Via">What it came through (<see cref="EnvelopeRecipient.Via"/>).</param>
/// <param name="Notify">NOTIFY, handed on to expanded recipients.</param>
/// <param name="DsnOriginalRecipient">ORCPT, handed on likewise.</param>
public readonly record struct AgentRecipient(int Index, string Address, string OriginalAddress, string Via, DsnNotify Notify, string DsnOriginalRecipient);

/// <summary>
/// All that the agent is ever told: which service, which message, from whom, to whom. Users, aliases, tables, commands and
/// identities it finds itself, in configuration that belongs to root.
/// </summary>
public sealed class AgentRequest
{
    /// <summary>The service's name in master.cf.</summary>
    public required string Service { get; init; }

    /// <summary>The queue ID, for log lines.</summary>
    public required string QueueId { get; init; }

    /// <summary>The envelope sender, internal form; empty for the null sender.</summary>
    public required string Sender { get; init; }

    /// <summary>The client, for a command's environment.</summary>
    public required MessageOrigin Origin { get; init; }

    /// <summary>ENVID, xtext decoded; empty if none.</summary>
    public string EnvelopeId { get; init; } = "";

    /// <summary>The recipients.</summary>
    public required IReadOnlyList<AgentRecipient> Recipients { get; init; }

    /// <summary>The message.</summary>
    public required AgentContent Content { get; init; }

    /// <summary>The request of a delivery.</summary>
    public static AgentRequest From(DeliveryRequest request, AgentContent content) => new()
    {
        Service = request.Transport,
        QueueId = request.Envelope.QueueId,
        Sender = request.Envelope.Sender,
        Origin = request.Envelope.Origin,
        EnvelopeId = request.Envelope.EnvelopeId,
        Content = content,
        Recipients = [.. request.Recipients.Select(one => new AgentRecipient(
            one.Index, one.Address, one.Recipient.OriginalAddress, one.Recipient.Via, one.Recipient.Notify, one.Recipient.DsnOriginalRecipient))],
    };
}
