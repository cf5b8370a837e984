using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>A spool on a simulated disk. One thread; the disk completes when the test says so.</summary>
public abstract class SimulatedSpoolTests
{
    private protected readonly SimulatedDisk _disk = new();
    private protected readonly FakeTimeProvider _time = new();
    private protected readonly List<string> _log = [];
    private protected Server.Queue.Spool.Spool _spool;

    private protected SimulatedSpoolTests()
    {
        SynchronizationContext.SetSynchronizationContext(null);
        _spool = Open();
    }

    private protected Server.Queue.Spool.Spool Open(SpoolOptions? options = null) =>
        Server.Queue.Spool.Spool.OpenAsync(options ?? SpoolWorld.Options, _disk, new SeededChance(_log.Count + 5), _time, new MailLog(new SpoolFolder.LinesSink(_log), "postfix/qmgr", 1)).GetAwaiter().GetResult();

    private protected ValueTask<StoreStatus> Append(int length = 1000, Func<Envelope, Envelope>? change = null)
    {
        string id = _spool.NewQueueId();
        using ContentWriter writer = _spool.CreateContent();
        writer.WriteAsync(SpoolFolder.Text(id, length), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        Envelope envelope = SpoolFolder.Message(id);
        return _spool.AppendAsync(change?.Invoke(envelope) ?? envelope, writer.CompleteAsync().AsTask().GetAwaiter().GetResult(), CancellationToken.None);
    }

    private protected static StoreStatus Finished(ValueTask<StoreStatus> task)
    {
        Assert.True(task.IsCompleted);
        return task.Result;
    }

    private protected StoreStatus Settle(ValueTask<StoreStatus> task)
    {
        Settle();
        return Finished(task);
    }

    private protected void Settle()
    {
        for (int i = 0; i < 10; i++)
        {
            _disk.CompleteBatch();
        }
    }

    /// <summary>A pass of winning space back, with so much time between the disk's steps.</summary>
    private protected void Compact(TimeSpan step = default)
    {
        Task pass = _spool.CompactAsync();
        for (int i = 0; i < 1000 && !pass.IsCompleted; i++)
        {
            _time.Advance(step);
            _disk.CompleteBatch();
        }

        Assert.True(pass.IsCompleted);
        pass.GetAwaiter().GetResult();
    }

    private protected void FailOnce(DiskCall failing, int errno = DiskException.InputOutput)
    {
        bool failed = false;
        _disk.Fault = (call, _) =>
        {
            bool now = call == failing && !failed;
            failed |= now;
            return now ? errno : 0;
        };
    }

    private protected string[] Segments() => [.. _disk.Names.Where(static name => name.EndsWith(".log", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
}
