using Postwright.Server.Deliver;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Queue;

// A reload, as far as the schedule is concerned. Postfix's queue manager restarts then, and reads and routes the whole active
// queue anew; so whatever no delivery has taken yet goes back and is routed by the new configuration. What is under way runs to
// its end under the old one. The transports' counts stay, so that the two together never exceed a limit.

public sealed partial class QueueManager
{
    private void ReplaceTransports()
    {
        foreach (TransportQueue transport in _queues.Values.ToArray())
        {
            foreach (Destination destination in transport.Destinations)
            {
                Unpark(destination, all: true);
            }

            if (ServiceOf(transport.Name) is { } next && next.Agent is IImmediateDelivery == transport.IsImmediate)
            {
                transport.Replace(next, _uptime);
            }
            else
            {
                _queues.Remove(transport.Name);
            }
        }
    }

    /// <summary>Takes what waits out of line: each message comes back when its deliveries under way have ended.</summary>
    private void Reroute()
    {
        foreach (ActiveMessage message in _active.Values.ToArray())
        {
            if (message.IsWithdrawn || message.HasEnded)
            {
                continue;
            }

            if (!message.HasEntered)
            {
                // It is being resolved by the old tables.
                message.IsRerouted = true;
                continue;
            }

            foreach (Peer peer in message.Peers())
            {
                message.IsRerouted |= peer.Recipients.Count > 0;
                message.Open -= peer.Recipients.Count;
                peer.Recipients.Clear();
            }

            if (message.Open == 0)
            {
                EndRound(message);
            }
        }
    }
}
