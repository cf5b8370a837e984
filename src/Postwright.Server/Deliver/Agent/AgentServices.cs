using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Deliver.Local;
using Postwright.Server.Deliver.Virtual;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// The services that the agent delivers for, by name. One request at a time per calling thread; recipients one after the other.
/// </summary>
/// <param name="services">local, virtual and whatever else master.cf calls them.</param>
/// <param name="log">For what is a bug or an unreadable message.</param>
/// <param name="tables">What is disposed with this: the tables, where nobody else uses them.</param>
public sealed class AgentServices(IReadOnlyDictionary<string, IDeliveryService> services, MailLog log, IDisposable? tables = null) : IDisposable
{
    /// <summary>
    /// The services of every <c>local</c> and <c>virtual</c> row of master.cf, each with the row's overrides, from a configuration
    /// that the caller has read from a place only root can write (or, without root, its own).
    /// </summary>
    /// <param name="configuration">main.cf and master.cf.</param>
    /// <param name="tables">Opens alias_maps and the virtual maps.</param>
    /// <param name="host">The users.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Its tag's service is replaced by the row's name.</param>
    /// <param name="launcher">The program that runs commands as other users (<c>spawn-as</c>); null for this one.</param>
    /// <param name="ownsTables">True to close the tables with what is returned.</param>
    public static AgentServices From(
        MailConfiguration configuration, TableRegistry tables, IHost host, TimeProvider time, MailLog log, string? launcher = null, bool ownsTables = false)
    {
        var services = new Dictionary<string, IDeliveryService>(StringComparer.Ordinal);
        foreach ((string name, string command, MailConfiguration own) in Rows(configuration))
        {
            MailLog serviceLog = log.For(name, Environment.ProcessId);
            services[name] = command == "local"
                ? new LocalDelivery(LocalOptions.From(own, tables, launcher), host, time, serviceLog)
                : new VirtualDelivery(VirtualOptions.From(own, tables), host, time, serviceLog);
        }

        return new AgentServices(services, log, ownsTables ? tables : null);
    }

    /// <summary>The rows that the agent delivers for, each with main.cf under its overrides.</summary>
    internal static IEnumerable<(string Name, string Command, MailConfiguration Settings)> Rows(MailConfiguration configuration) => configuration.Services
        .Where(row => row.Type == "unix" && row.Command is "local" or "virtual")
        .Select(row => (row.Name, row.Command, row.Overrides.Count == 0 ? configuration : configuration.WithOverrides(row.Overrides)));

    /// <inheritdoc />
    public void Dispose() => tables?.Dispose();

    /// <summary>The names of the services.</summary>
    public IEnumerable<string> Names => services.Keys;

    /// <summary>Delivers on the calling thread; one result per recipient, in order.</summary>
    /// <exception cref="IdentityLostException">The thread must end.</exception>
    public IReadOnlyList<RecipientResult> Deliver(AgentRequest request, CancellationToken cancellationToken)
    {
        var results = new List<RecipientResult>(request.Recipients.Count);
        foreach (AgentRecipient recipient in request.Recipients)
        {
            results.Add(Deliver(request, recipient, cancellationToken));
        }

        return results;
    }

    private RecipientResult Deliver(AgentRequest request, AgentRecipient recipient, CancellationToken cancellationToken)
    {
        if (!services.TryGetValue(request.Service, out IDeliveryService? service))
        {
            log.Warning($"{request.QueueId}: the agent has no service \"{request.Service}\"");
            return Defer(recipient, request.Service, "mail transport unavailable");
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return Defer(recipient, request.Service, "delivery interrupted by shutdown");
        }

        try
        {
            return service.Deliver(request, recipient, cancellationToken);
        }
        catch (IOException failure)
        {
            // The message itself could not be read.
            log.Warning($"{request.QueueId}: read message content: {failure.Message}");
            return Defer(recipient, request.Service, "queue file read error");
        }
    }

    private static RecipientResult Defer(AgentRecipient recipient, string relay, string reason)
        => new(recipient.Index, DeliveryStatus.Deferred, "4.3.0", reason, relay);
}
