namespace Postwright.Server.Queue.Spool;

/// <summary>What waits for the next commit.</summary>
internal sealed class WaitingList
{
    public List<PendingRecord> Records { get; } = [];

    public TaskCompletionSource<bool>? Changes { get; set; }

    public bool Urgent { get; set; }

    public bool TimerSet { get; set; }

    public int Refused { get; set; }

    public void Clear()
    {
        Records.Clear();
        Changes = null;
        Urgent = false;
        TimerSet = false;
        Refused = 0;
    }
}
