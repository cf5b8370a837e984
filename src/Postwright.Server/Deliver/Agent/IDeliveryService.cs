namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// What a service (local, virtual) does for one recipient, synchronously and on a thread of its own. It takes on and gives back
/// identities through <see cref="DeliveryIdentity"/>, and does not throw for anything a file, table or command does.
/// </summary>
public interface IDeliveryService
{
    /// <summary>Delivers to one recipient of the request.</summary>
    RecipientResult Deliver(AgentRequest request, AgentRecipient recipient, CancellationToken cancellationToken);
}
