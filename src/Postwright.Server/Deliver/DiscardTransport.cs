
namespace Postwright.Server.Deliver;

/// <summary>discard(8): throws the message away and says <c>status=sent</c> with the next hop as text; a status code in front of it counts.</summary>
public sealed class DiscardTransport : IDeliveryAgent, IImmediateDelivery
{
    /// <inheritdoc />
    public ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        (string dsn, string reason) = StatusCode.Split(request.NextHop, "2.0.0");
        dsn = '2' + dsn[1..];
        RecipientResult[] results = new RecipientResult[request.Recipients.Count];
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = new RecipientResult(request.Recipients[i].Index, DeliveryStatus.Sent, dsn, reason, "none");
        }

        return ValueTask.FromResult<IReadOnlyList<RecipientResult>>(results);
    }
}
