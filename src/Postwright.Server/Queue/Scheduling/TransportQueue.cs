using Postwright.Server.Deliver;

namespace Postwright.Server.Queue.Scheduling;

// A transport's share of the active queue. Two kinds of fairness, both in constant time per delivery:
//
// * between destinations: each has a window of its own and offers at most one candidate, its first waiting peer;
// * between messages: jobs (one message in one transport) take turns, a delivery each, so that a mailing list with ten
//   thousand destinations does not stand in the way of the letter behind it.
//
// A destination that is closed (window used up, dead, rate delay) offers no candidate and costs nothing to pass.
//
// It outlives reloads, so that deliveries which began before one count in the limits that hold after it.

/// <summary>One transport; touched by the queue manager's loop only.</summary>
internal sealed class TransportQueue(string name, TransportService service)
{
    private readonly Dictionary<string, Destination> _destinations = new(StringComparer.OrdinalIgnoreCase);
    private readonly Queue<Job> _ring = new();

    /// <summary>master.cf's first column.</summary>
    public string Name => name;

    /// <summary>Who delivers what begins now, and with which settings.</summary>
    public TransportService Service { get; private set; } = service;

    /// <summary>Its settings.</summary>
    public TransportLimits Limits => Service.Limits;

    /// <summary>True if a delivery is a matter of memory only and is run in the loop's own turn.</summary>
    public bool IsImmediate { get; } = service.Agent is IImmediateDelivery;

    /// <summary>Deliveries under way.</summary>
    public int Busy { get; set; }

    /// <summary>Rate delay of the transport: no delivery begins before this time.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>True while it stands in the list of transports to look at.</summary>
    public bool IsListed { get; set; }

    /// <summary>The destinations that are worth remembering.</summary>
    public IReadOnlyCollection<Destination> Destinations => _destinations.Values;

    /// <summary>True when one more delivery may begin.</summary>
    public bool IsOpen(TimeSpan now) => (Limits.ProcessLimit == 0 || Busy < Limits.ProcessLimit) && NotBefore <= now;

    /// <summary>The destination of that key, made when it is new.</summary>
    public Destination Destination(string key, string nextHop)
    {
        if (!_destinations.TryGetValue(key, out Destination? destination))
        {
            destination = new Destination(this, key, nextHop);
            _destinations.Add(key, destination);
        }

        return destination;
    }

    /// <summary>Forgets a destination that has nothing to remember.</summary>
    public void ForgetIfIdle(Destination destination, TimeSpan now)
    {
        if (destination.IsIdle(now))
        {
            _destinations.Remove(destination.Key);
        }
    }

    /// <summary>
    /// Goes over to another configuration's service with empty lines: destinations begin anew, but for their deliveries under
    /// way and their rate delays.
    /// </summary>
    public void Replace(TransportService next, TimeSpan now)
    {
        Service = next;
        while (_ring.TryDequeue(out Job? job))
        {
            job.IsInRing = false;
            job.Ready.Clear();
        }

        foreach (Destination destination in _destinations.Values.ToArray())
        {
            destination.HasCandidate = false;
            while (destination.Waiting.TryDequeue(out Peer? peer))
            {
                peer.IsWaiting = false;
            }

            destination.Revive();
            ForgetIfIdle(destination, now);
        }
    }

    /// <summary>Puts a peer in line; its destination may have a candidate now.</summary>
    public void Enqueue(Peer peer, TimeSpan now)
    {
        peer.Destination.Waiting.Enqueue(peer);
        Offer(peer.Destination, now);
    }

    /// <summary>Lets a destination offer its first waiting peer, if it is open and has not done so.</summary>
    public void Offer(Destination destination, TimeSpan now)
    {
        if (destination.HasCandidate || !destination.IsOpen(now) || !destination.Waiting.TryPeek(out Peer? peer))
        {
            return;
        }

        destination.HasCandidate = true;
        peer.Job.Ready.Enqueue(peer);
        if (!peer.Job.IsInRing)
        {
            peer.Job.IsInRing = true;
            _ring.Enqueue(peer.Job);
        }
    }

    /// <summary>Takes the next peer that may have a delivery, off its destination's line.</summary>
    public bool TryTake(TimeSpan now, out Peer peer)
    {
        while (_ring.TryDequeue(out Job? job))
        {
            job.IsInRing = false;
            if (!job.Ready.TryDequeue(out peer!))
            {
                continue;
            }

            if (job.Ready.Count > 0)
            {
                job.IsInRing = true;
                _ring.Enqueue(job);
            }

            Destination destination = peer.Destination;
            destination.HasCandidate = false;
            if (!destination.Waiting.TryPeek(out Peer? first) || first != peer)
            {
                // Its line was cleared meanwhile: the destination died.
                Offer(destination, now);
                continue;
            }

            if (destination.IsOpen(now))
            {
                destination.Waiting.Dequeue();
                return true;
            }
        }

        peer = null!;
        return false;
    }
}
