using Postwright.Core.Logging;
using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// The agent inside the mail process: for one process without root, where every delivery is that user's, and for tests.
/// The same services as in the agent process, on threads of their own.
/// </summary>
/// <param name="services">The services by their names in master.cf.</param>
/// <param name="workers">The threads; shared with others or owned by the composition.</param>
/// <param name="log">For what is a bug.</param>
public sealed class InProcessAgent(AgentServices services, DeliveryWorkers workers, MailLog log) : IDeliveryAgent
{
    /// <inheritdoc />
    public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await workers.RunAsync(
                () =>
                {
                    using AgentContent content = QueueContent.Open(request.Content);
                    return services.Deliver(AgentRequest.From(request, content), cancellationToken);
                },
                cancellationToken);
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
        {
            return Deferred(request, "4.3.2", "delivery interrupted by shutdown");
        }
        catch (IOException failure)
        {
            log.Warning($"{request.Envelope.QueueId}: read message content: {failure.Message}");
            return Deferred(request, "4.3.0", "queue file read error");
        }
        catch (IdentityLostException failure)
        {
            log.Error($"{request.Envelope.QueueId}: {failure.Message} (process user {Identity.EffectiveUser})");
            return Deferred(request, "4.3.0", "mail system configuration error");
        }
    }

    /// <summary>The same deferral for all recipients.</summary>
    internal static IReadOnlyList<RecipientResult> Deferred(DeliveryRequest request, string dsn, string reason)
        => [.. request.Recipients.Select(one => new RecipientResult(one.Index, DeliveryStatus.Deferred, dsn, reason, request.Transport))];
}
