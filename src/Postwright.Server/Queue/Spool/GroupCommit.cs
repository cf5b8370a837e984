using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Commits what has come together: one batch, one sync, and then its waiters are told; what does not fit into one batch makes
/// several. A failed write or sync: the segment is abandoned, the batch is written again to a new one, and only then
/// acknowledged; if that fails too, mail gets Failed (or NoSpace) and an Abort record, and changes are tried again later.
/// One commit at a time.
/// </summary>
internal sealed class GroupCommit(
    SpoolOptions options, MailLog log, Lock gate, CurrentSegment segment, LogPublisher publisher, FreeSpace freeSpace)
{
    private readonly int _mostRecord = SegmentFormat.MostRecord(options.SegmentBytes);
    private readonly BatchBuilder _builder = new();
    private readonly List<PendingRecord> _retry = [];
    private bool _failing;
    private int _mailErrno;

    /// <summary>Whether changes wait for another try. The gate is held.</summary>
    public bool HasRetries => _retry.Count > 0;

    /// <summary>Puts what waits for another try in front of a list, in the order it was first tried. The gate is held.</summary>
    public void MoveRetries(WaitingList list)
    {
        list.Records.InsertRange(0, _retry);
        _retry.Clear();
    }

    /// <summary>Commits a list and completes its records; gives back when each is durable or refused.</summary>
    /// <param name="list">What to commit; the caller clears it.</param>
    /// <param name="onCallersThread">True to write and sync before returning.</param>
    public async ValueTask CommitAsync(WaitingList list, bool onCallersThread)
    {
        if (list.Records.Exists(static record => record.IsMail))
        {
            RefuseMail(list, await MailErrnoAsync(list));
        }

        for (int next = 0; next < list.Records.Count;)
        {
            if (list.Records[next].Outcome != StoreStatus.Stored)
            {
                list.Complete(next, ++next);
                continue;
            }

            if (list.Records[next].Length > _mostRecord)
            {
                GiveUpOversized(list, next++);
                continue;
            }

            int roomErrno = await segment.EnsureRoomAsync(BatchBuilder.Alone(list.Records[next]));
            if (roomErrno != 0)
            {
                if (!_failing)
                {
                    _failing = true;
                    log.Warning($"spool: {new DiskException("open the next segment in", options.Directory, roomErrno).Message}");
                }

                Refuse(list, next, list.Records.Count, roomErrno, tried: false);
                return;
            }

            int end = LayOut(list, next);
            int written = await WriteAsync(list, next, end, onCallersThread);
            if (written == 0)
            {
                if (_failing)
                {
                    _failing = false;
                    log.Info("spool: the disk takes records again");
                }

                if (publisher.Publish(list.Records, next, end, segment.Now!, _builder.PaddedLength))
                {
                    segment.SpaceWanted?.Invoke();
                }
            }
            else
            {
                // The rest too: a change must not overtake an earlier one of its message that is tried again later.
                Refuse(list, next, end, written, tried: true);
                list.Complete(next, end);
                Refuse(list, end, list.Records.Count, written, tried: false);
                return;
            }

            list.Complete(next, end);
            next = end;
        }
    }

    /// <summary>Why new mail cannot be taken now, 0 if it can: queue_minfree, or no segment left but the reserve.</summary>
    private async ValueTask<int> MailErrnoAsync(WaitingList list)
    {
        long bytes = 0;
        foreach (PendingRecord record in list.Records)
        {
            bytes += record.IsMail ? SegmentFormat.AlignRecord(record.Length) : 0;
        }

        if (!freeSpace.IsEnough())
        {
            return DiskException.NoSpace;
        }

        return await segment.EnsureRoomForMailAsync(bytes);
    }

    private void RefuseMail(WaitingList list, int errno)
    {
        if (errno != _mailErrno)
        {
            // Once, not for every message: the log is often on the same disk.
            _mailErrno = errno;
            if (errno != 0)
            {
                log.Warning($"spool: {new DiskException("no new mail is taken in", options.Directory, errno).Message}");
            }
        }

        if (errno == 0)
        {
            return;
        }

        segment.SpaceWanted?.Invoke();
        foreach (PendingRecord record in list.Records)
        {
            if (record.IsMail)
            {
                record.Outcome = DiskException.IsNoSpace(errno) ? StoreStatus.NoSpace : StoreStatus.Failed;
            }
        }
    }

    /// <summary>No segment will ever have room for it: nothing may wait behind it.</summary>
    private void GiveUpOversized(WaitingList list, int at)
    {
        PendingRecord record = list.Records[at];
        string what = record.Done is null ? "a change is given up" : "the message cannot be moved, its segment is kept";
        log.Warning($"{record.QueueId}: spool: {what}: it takes {record.Length} bytes of one segment (raise spool_segment_size)");
        record.Outcome = record.IsMail ? StoreStatus.NoSpace : StoreStatus.Failed;
        if (!record.IsMail)
        {
            list.Refused++;
            lock (gate)
            {
                publisher.GiveUp(record);
            }
        }

        list.Complete(at, at + 1);
    }

    /// <summary>Puts as many records as fit into a batch, passing over mail that was refused.</summary>
    private int LayOut(WaitingList list, int next)
    {
        _builder.Begin(segment.Now!);
        int end = next;
        for (; end < list.Records.Count; end++)
        {
            PendingRecord record = list.Records[end];
            if (record.Outcome == StoreStatus.Stored)
            {
                record.FirstTried = record.FirstTried == 0 ? segment.Now!.Generation : record.FirstTried;
                if (!_builder.TryAdd(record))
                {
                    break;
                }
            }
        }

        _builder.Finish();
        return end;
    }

    private async ValueTask<int> WriteAsync(WaitingList list, int next, int end, bool onCallersThread)
    {
        int errno = await segment.Now!.File.WriteAndSyncAsync(_builder.Parts, segment.Now.Synced, onCallersThread);
        for (bool again = true; errno != 0; again = false)
        {
            _failing = true;
            await segment.AbandonAsync(errno);
            if (!again)
            {
                return errno;
            }

            errno = await segment.EnsureRoomAsync(_builder.PaddedLength);
            if (errno != 0)
            {
                return errno;
            }

            _builder.Begin(segment.Now!);
            for (int i = next; i < end; i++)
            {
                if (list.Records[i].Outcome == StoreStatus.Stored)
                {
                    _builder.TryAdd(list.Records[i]);
                }
            }

            _builder.Finish();
            errno = await segment.Now!.File.WriteAndSyncAsync(_builder.Parts, segment.Now.Synced, onCallersThread: false);
        }

        return 0;
    }

    private void Refuse(WaitingList list, int next, int end, int errno, bool tried)
    {
        lock (gate)
        {
            for (int i = next; i < end; i++)
            {
                PendingRecord record = list.Records[i];
                if (record.Outcome != StoreStatus.Stored)
                {
                    continue;
                }

                if (record.IsMail)
                {
                    record.Outcome = DiskException.IsNoSpace(errno) ? StoreStatus.NoSpace : StoreStatus.Failed;
                    if (tried)
                    {
                        _retry.Add(publisher.MakeAbort(record.QueueId, record.FirstTried));
                    }
                }
                else
                {
                    record.Outcome = StoreStatus.Failed;
                    if (record.Done is null)
                    {
                        list.Refused++;
                        _retry.Add(record);
                    }
                    else
                    {
                        publisher.GiveUp(record);
                    }
                }
            }

            if (_retry.Count > options.MostRetries)
            {
                GiveUpOldest(_retry.Count - options.MostRetries);
            }
        }

        if (!tried)
        {
            list.Complete(next, end);
        }
    }

    /// <summary>
    /// Recipients that an expansion added are kept in any case: they are in memory anyway, and every later position counts on them.
    /// </summary>
    private void GiveUpOldest(int surplus)
    {
        int before = _retry.Count;
        _retry.RemoveAll(record =>
        {
            bool goes = surplus > 0 && record.Expansions is null;
            if (goes)
            {
                surplus--;
                publisher.GiveUp(record);
            }

            return goes;
        });
        if (_retry.Count < before)
        {
            log.Warning("spool: the disk refuses records; the oldest changes are given up, deliveries may be repeated after a restart");
        }
    }
}
