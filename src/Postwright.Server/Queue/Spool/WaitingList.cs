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

    /// <summary>Completes the waiters. A record is not touched after its waiter was told.</summary>
    public void Complete(int next, int end)
    {
        for (int i = next; i < end; i++)
        {
            PendingRecord record = Records[i];
            if (record.IsMail)
            {
                record.Complete();
            }
            else if (record.Done is { } done)
            {
                done.SetResult(record.Outcome == StoreStatus.Stored);
                PendingRecord.Pool.Return(record);
            }
            else if (record.Outcome == StoreStatus.Stored)
            {
                PendingRecord.Pool.Return(record);
            }
            else
            {
                record.Outcome = StoreStatus.Stored;
            }
        }
    }
}
