using Postwright.Simulation.Network;
using Postwright.Simulation.World;

namespace Postwright.Simulation.Ledger;

/// <summary>A message reached somebody: a mailbox, or a server elsewhere that answers for it.</summary>
internal sealed class Effect(Copy copy, string address, string where, Life life, SimEnd? server = null)
{
    private SimEnd? _end;
    private long _replyEnd;
    private bool _answered;

    public Copy Copy => copy;

    public string Address => address;

    public string Where => where;

    /// <summary>It reached a mailbox of ours, whose answer nothing but a crash can lose.</summary>
    public bool IsLocal => where is "local" or "virtual";

    /// <summary>The process that delivered it.</summary>
    public Life Life => life;

    /// <summary>When it happened, in ticks of the scheduler.</summary>
    public long At { get; } = life.World.Scheduler.Now;

    /// <summary>For a server elsewhere: when mail closed the connection although the answer was still to come; never, if not so.</summary>
    public long LeftAt => server is null || IsAnswered ? long.MaxValue : server.Peer.LeftAt;

    /// <summary>The result is on disk: after this nothing excuses a second delivery.</summary>
    public bool IsSettled { get; set; }

    /// <summary>Mail died before the result was on disk, or the agent before it had said it.</summary>
    public bool IsForgotten { get; set; }

    /// <summary>A later delivery to the same recipient found its reason in this one.</summary>
    public bool IsExcused { get; set; }

    /// <summary>True when whoever delivered it has heard that it is done.</summary>
    public bool IsAnswered => _answered || (_end is { } end && end.Peer.Received >= _replyEnd);

    /// <summary>When the log said that it was sent, which is when its result is given to the queue; never, as long as it did not.</summary>
    public long LoggedAt { get; set; } = long.MaxValue;

    /// <summary>The mailbox has answered.</summary>
    public void Answered() => _answered = true;

    /// <summary>The server has sent its reply, which ends at this byte of the connection.</summary>
    public void ReplyAt(SimEnd end, long position) => (_end, _replyEnd) = (end, position);
}
