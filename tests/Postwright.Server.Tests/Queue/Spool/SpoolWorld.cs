// The spool completes appends inside a call of the one thread; a task in between would move that to another.
#pragma warning disable CA2012
using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing;
using Postwright.Testing.Disk;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>
/// A spool on a simulated disk, a random workload from one seed, and the ledger of what it promised. One thread; the same
/// seed is the same history.
/// </summary>
internal sealed class SpoolWorld
{
    private readonly Random _random;
    private FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly List<(LedgerMessage Message, ValueTask<StoreStatus> Task)> _appends = [];
    private readonly SeededChance _chance;
    private int _names;
    private int _lifeStart;
    private Task _pass = Task.CompletedTask;

    public SpoolWorld(int seed, bool faulty)
    {
        // Continuations run where they are completed: inside the disk's CompleteBatch, on this thread.
        SynchronizationContext.SetSynchronizationContext(null);
        _random = new Random(seed);
        _chance = new SeededChance(seed);
        Faulty = faulty;
        Disk = new SimulatedDisk();
        Spool = Open(Disk);
    }

    public static SpoolOptions Options { get; } = new()
    {
        Directory = "/queue/spool",
        CorruptDirectory = "/queue/corrupt",
        SegmentBytes = 64 << 10,
        InlineLimit = 2000,
        CacheLimit = 20_000,
        CompactionRate = 1 << 30,
        SnapshotSegments = 3,
        CompactInBackground = false,
        Continuations = TaskCreationOptions.None,
    };

    public bool Faulty { get; }

    /// <summary>Compaction runs between the other steps.</summary>
    public bool CompactOften { get; init; }

    /// <summary>Compaction passes begun.</summary>
    public int Passes { get; private set; }

    public SimulatedDisk Disk { get; private set; }

    public Server.Queue.Spool.Spool Spool { get; private set; }

    public SpoolLedger Ledger { get; } = new();

    public List<string> Log { get; } = [];

    /// <summary>Runs steps of the workload.</summary>
    public void Run(int steps)
    {
        int trouble = 0;
        Disk.Fault = (call, _) =>
        {
            if (!Faulty || call is DiskCall.Read)
            {
                return 0;
            }

            trouble = trouble > 0 ? trouble - 1 : _random.Next(60) == 0 ? _random.Next(1, 12) : 0;
            return trouble > 0 && _random.Next(3) > 0 ? (_random.Next(2) == 0 ? DiskException.InputOutput : DiskException.NoSpace) : 0;
        };
        for (int i = 0; i < steps; i++)
        {
            Step();
            Collect();
        }

        Disk.Fault = static (_, _) => 0;
    }

    /// <summary>Queues one message.</summary>
    public string AppendOne() => Append();

    /// <summary>Lets everything that waits become durable.</summary>
    public void Settle()
    {
        for (int i = 0; i < 20; i++)
        {
            Disk.CompleteBatch();
            _time.Advance(TimeSpan.FromSeconds(2));
            Collect();
        }
    }

    /// <summary>A power cut somewhere in the disk's history, and a restart.</summary>
    public void CutPower()
    {
        int position = _random.Next(_lifeStart, Disk.History.Count + 1);
        var image = new DiskImage(Disk);
        foreach (DiskEvent happened in Disk.History.Take(position))
        {
            image.Advance(happened, _random);
        }

        Disk = image.Cut(_random);
        Restart(position, sameDisk: false);
    }

    /// <summary>kill -9, and a restart: what was written is all there, what was not synced is still not synced.</summary>
    public void Kill()
    {
        Disk.Kill();
        Restart(Disk.History.Count, sameDisk: true);
    }

    /// <summary>Recovers what a power cut at each of some positions leaves, and checks it.</summary>
    public int CheckEveryPrefix(int stride)
    {
        var random = new Random(_random.Next());
        var image = new DiskImage(Disk);
        int count = 0;
        for (int position = 0; position <= Disk.History.Count; position++)
        {
            if ((position >= _lifeStart && position % stride == 0) || position == Disk.History.Count)
            {
                Check(image.Cut(random), position);
                count++;
            }

            if (position < Disk.History.Count)
            {
                image.Advance(Disk.History[position], random);
            }
        }

        return count;
    }

    /// <summary>The orderly end: everything durable, the index saved, and a restart from it.</summary>
    public void Close()
    {
        for (int i = 0; i < 1000 && !_pass.IsCompleted; i++)
        {
            Disk.CompleteBatch();
            _time.Advance(TimeSpan.FromSeconds(2));
        }

        _pass.GetAwaiter().GetResult();
        Settle();
        Task close = Spool.DisposeAsync().AsTask();
        for (int i = 0; i < 1000 && !close.IsCompleted; i++)
        {
            Disk.CompleteBatch();
        }

        close.GetAwaiter().GetResult();
        Restart(Disk.History.Count, sameDisk: true);
    }

    /// <summary>Recounts what the index says of its segments.</summary>
    public void CheckCounts()
    {
        SpoolIndex index = Spool.Index;
        foreach (Segment segment in index.Segments.Values)
        {
            IndexEntry[] here = [.. index.Entries.Values.Where(entry => entry.Segment == segment)];
            int states = index.Entries.Values.Count(entry => entry.StateSegment == segment)
                + index.Entries.Values.Sum(entry => entry.Extra?.Expansions.Count(e => e.Segment == segment) ?? 0);
            Assert.Equal((here.Length, here.Sum(static entry => (long)entry.Length), states), (segment.LiveMessages, segment.LiveBytes, segment.LiveStates));
        }
    }

    private void Check(SimulatedDisk disk, int position)
    {
        Server.Queue.Spool.Spool spool = Open(disk);
        try
        {
            Assert.Empty(spool.Damages);
            Ledger.Check(spool.Entries(), id => spool.LoadAsync(id, CancellationToken.None).Result, position, Faulty);
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"cut after {position} of {Disk.History.Count} events", failure);
        }
    }

    private Server.Queue.Spool.Spool Open(SimulatedDisk disk)
    {
        Task<Server.Queue.Spool.Spool> open = Server.Queue.Spool.Spool.OpenAsync(Options, disk, _chance, _time, new MailLog(new SpoolFolder.LinesSink(Log), "postfix/qmgr", 1));
        Assert.True(open.IsCompleted);
        return open.Result;
    }

    private void Restart(int position, bool sameDisk)
    {
        // The dead spool's timers must not fire: they are on a clock that stands still from now on.
        _time = new FakeTimeProvider(_time.GetUtcNow().AddMinutes(1));
        _appends.Clear();
        _pass = Task.CompletedTask;
        Spool = Open(Disk);
        Assert.Empty(Spool.Damages);
        Ledger.Check(Spool.Entries(), id => Spool.LoadAsync(id, CancellationToken.None).Result, position, Faulty, rebase: true, sameDisk);
        foreach (string later in Ledger.Messages.Where(m => m.Value.Issued > position).Select(m => m.Key).ToArray())
        {
            Ledger.Messages.Remove(later);
        }

        _lifeStart = Disk.History.Count;
    }

    private void Step()
    {
        switch (_random.Next(CompactOften ? 13 : 10))
        {
            case < 3:
                Append();
                break;
            case < 6:
                Change();
                break;
            case < 9:
                Disk.CompleteBatch();
                break;
            case > 9:
                if (_pass.IsCompleted)
                {
                    _pass.GetAwaiter().GetResult();
                    _pass = Spool.CompactAsync();
                    Passes++;
                }

                break;
            default:
                _time.Advance(TimeSpan.FromMilliseconds(_random.Next(5) == 0 ? 2000 : 6));
                break;
        }
    }

    private string Append()
    {
        string id = Spool.NewQueueId();
        byte[] content = SpoolFolder.Text(id, _random.Next(4) == 0 ? _random.Next(9000) : _random.Next(1500));
        Envelope envelope = SpoolFolder.Message(id, [.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => Name())]) with { Hold = _random.Next(10) == 0 };
        var message = new LedgerMessage(envelope, content, Disk.History.Count);
        Ledger.Messages[id] = message;
        using ContentWriter writer = Spool.CreateContent();
        try
        {
            writer.WriteAsync(content, CancellationToken.None).AsTask().Wait();
            _appends.Add((message, Spool.AppendAsync(envelope, writer.CompleteAsync().Result, CancellationToken.None)));
        }
        catch (Exception failure) when (failure is DiskException or AggregateException { InnerException: DiskException })
        {
            message.Refused = StoreStatus.Failed;
        }

        return id;
    }

    private void Change()
    {
        LedgerMessage[] candidates = [.. Ledger.Messages.Values.Where(m => m.Acknowledged != int.MaxValue && !m.After(m.Changes.Count).Removed)];
        if (candidates.Length == 0)
        {
            return;
        }

        LedgerMessage message = candidates[_random.Next(candidates.Length)];
        string id = message.Envelope.QueueId;
        var changes = new List<QueueChange>();
        do
        {
            int recipient = _random.Next(message.After(message.Changes.Count).Recipients.Count);
            var next = new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero).AddMinutes(_random.Next(1000));
            changes.Add(_random.Next(9) switch
            {
                0 => new MessageHeld(id),
                1 => new MessageReleased(id),
                2 => new MessageExpired(id, _random.Next(2) == 0),
                3 when changes.All(c => c is not RecipientExpanded) => new RecipientExpanded(id, recipient, [new EnvelopeRecipient(Name(), Name()), new EnvelopeRecipient(Name(), "x")]),
                4 or 5 => new RecipientsDone(id, [recipient]),
                6 or 7 => new MessageDeferred(id, next, [new RecipientDelay(recipient, "4.4.1", Name())]) { WarningsSent = _random.Next(3) },
                _ => new MessageRemoved(id),
            });
        }
        while (_random.Next(3) == 0 && changes[^1] is not MessageRemoved);
        int issued = Disk.History.Count;
        message.Changes.Add(new LedgerChange(changes, issued, Spool.RecordAsync(changes, urgent: _random.Next(2) == 0)));
    }

    private void Collect()
    {
        for (int i = _appends.Count - 1; i >= 0; i--)
        {
            (LedgerMessage message, ValueTask<StoreStatus> task) = _appends[i];
            if (task.IsCompleted)
            {
                _appends.RemoveAt(i);
                StoreStatus status = task.Result;
                message.Acknowledged = status == StoreStatus.Stored ? Disk.History.Count : int.MaxValue;
                message.Refused = status == StoreStatus.Stored ? null : status;
                Assert.True(Faulty || status == StoreStatus.Stored, $"refused without a fault: {status}");
            }
        }

        foreach (LedgerChange change in Ledger.Messages.Values.SelectMany(static m => m.Changes))
        {
            if (change.Acknowledged == int.MaxValue && change.Task.IsCompleted && change.Task.Result)
            {
                change.Acknowledged = Disk.History.Count;
            }
        }
    }

    private string Name() => $"name{_names++}@example.org";
}
