using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Queue;

// One slow destination must not fill the active queue. A message with one recipient left, whose destination has its share of
// the active queue already, is parked: only its ID is kept, and the room goes to mail for other destinations. It comes back,
// before everything else, when the destination has used up half its share, or is dead, or the transports are made anew.

public sealed partial class QueueManager
{
    private bool TryPark(ActiveMessage message)
    {
        Destination? only = null;
        int index = -1;
        for (int i = 0; i < message.Routes.Length; i++)
        {
            if (message.Routes[i] is not { } route)
            {
                continue;
            }

            if (only is not null)
            {
                return false;
            }

            (index, only) = (i, FindDestination(message, route));
            if (only is null || only.Dead is not null || only.Waiting.Count < DestinationShare)
            {
                return false;
            }
        }

        if (index < 0)
        {
            return false;
        }

        only!.Parked ??= new Queue<string>();
        only.Parked.Enqueue(message.QueueId);
        LeaveActive(message);
        return true;
    }

    /// <summary>How much of the active queue may wait for one destination: a tenth.</summary>
    private int DestinationShare => Math.Max(1, _options.ActiveLimit / 10);

    /// <summary>Lets parked messages come back once their destination has used up half its share; all of them when it is dead.</summary>
    private void Unpark(Destination destination, bool all = false)
    {
        int held = destination.Waiting.Count + destination.Returning;
        all |= destination.Dead is not null;
        if (destination.Parked is not { Count: > 0 } parked || (!all && held > DestinationShare / 2))
        {
            return;
        }

        for (int room = all ? int.MaxValue : DestinationShare - held; room > 0 && parked.TryDequeue(out string? queueId); room--)
        {
            destination.Returning++;
            _resumed.Enqueue(new Resumption(queueId, false, destination));
        }
    }

    /// <summary>A parked message is looked at again: whatever becomes of it, its place on the way back is free.</summary>
    private void HasReturned(ActiveMessage message)
    {
        if (message.ParkedAt is { } destination)
        {
            destination.Returning--;
            Unpark(destination);
        }
    }
}
