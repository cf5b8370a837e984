namespace Postwright.Server.Queue.Scheduling;

/// <summary>One message's recipients in one transport.</summary>
internal sealed class Job(ActiveMessage message, TransportQueue transport)
{
    private Dictionary<Destination, Peer>? _byDestination;
    private Peer? _only;

    /// <summary>The message.</summary>
    public ActiveMessage Message => message;

    /// <summary>The transport.</summary>
    public TransportQueue Transport => transport;

    /// <summary>Peers whose destination could take them now.</summary>
    public Queue<Peer> Ready { get; } = new(1);

    /// <summary>True while it waits for its turn.</summary>
    public bool IsInRing { get; set; }

    /// <summary>Every peer of the job.</summary>
    public IEnumerable<Peer> Peers() => [.. _only is null ? [] : new[] { _only }, .. _byDestination?.Values.ToArray() ?? []];

    /// <summary>The message's recipients for <paramref name="destination"/>.</summary>
    public Peer PeerFor(Destination destination)
    {
        if (_only is null)
        {
            return _only = new Peer(this, destination);
        }

        if (_only.Destination == destination)
        {
            return _only;
        }

        _byDestination ??= [];
        if (!_byDestination.TryGetValue(destination, out Peer? peer))
        {
            peer = new Peer(this, destination);
            _byDestination.Add(destination, peer);
        }

        return peer;
    }
}

/// <summary>One message's recipients for one destination.</summary>
internal sealed class Peer(Job job, Destination destination)
{
    /// <summary>The job.</summary>
    public Job Job => job;

    /// <summary>The destination.</summary>
    public Destination Destination => destination;

    /// <summary>Recipients that no delivery has taken yet.</summary>
    public Queue<WaitingRecipient> Recipients { get; } = new(1);

    /// <summary>True while it stands in its destination's line.</summary>
    public bool IsWaiting { get; set; }
}

/// <summary>A recipient in line.</summary>
/// <param name="Index">Position in the envelope.</param>
/// <param name="Address">The resolved address.</param>
internal readonly record struct WaitingRecipient(int Index, string Address);
