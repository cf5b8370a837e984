using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Testing;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>A disk that failed for a while costs no space for longer than that. One thread; the disk completes when the test says so.</summary>
public sealed class SpaceTests
{
    private readonly SimulatedDisk _disk = new();
    private readonly FakeTimeProvider _time = new();
    private readonly List<string> _log = [];
    private readonly Server.Queue.Spool.Spool _spool;

    public SpaceTests()
    {
        SynchronizationContext.SetSynchronizationContext(null);
        _spool = Server.Queue.Spool.Spool.OpenAsync(
            SpoolWorld.Options, _disk, new SeededChance(3), _time, new MailLog(new SpoolFolder.LinesSink(_log), "postfix/qmgr", 1)).GetAwaiter().GetResult();
    }

    [Fact]
    public void Segments_that_failed_syncs_left_nearly_empty_are_won_back()
    {
        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(StoreStatus.Stored, Append());
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Append());
        }

        Assert.True(Segments() > 10);
        Compact();
        Assert.True(Segments() <= 4, $"{Segments()} segments for {_spool.Entries().Count} small messages");
        Assert.Equal(24, _spool.Entries().Count);
    }

    [Theory]
    [InlineData(DiskCall.Rename)]
    [InlineData(DiskCall.Delete)]
    [InlineData(DiskCall.SyncDirectory)]
    public void A_segment_that_could_not_be_given_back_is_given_back_later(DiskCall failing)
    {
        for (int i = 0; i < 6; i++)
        {
            Assert.Equal(StoreStatus.Stored, Append());
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Append());
        }

        _ = _spool.RecordAsync([.. _spool.Entries().Select(entry => new MessageRemoved(entry.QueueId))], urgent: true);
        Settle();
        _disk.Fault = (call, path) => call == failing && !path.EndsWith("/index.new", StringComparison.Ordinal) ? DiskException.InputOutput : 0;
        Compact();
        _disk.Fault = static (_, _) => 0;
        Compact();
        Compact();
        Assert.True(Segments() <= 2, $"{Segments()} segments for no message: {string.Join('\n', _log)}");
        Assert.Equal(StoreStatus.Stored, Append());
    }

    [Fact]
    public void Files_that_could_neither_be_named_nor_deleted_go_when_they_can()
    {
        Assert.Equal(StoreStatus.Stored, Append());
        int syncs = 0;
        _disk.Fault = (call, path) => call switch
        {
            DiskCall.Sync => syncs++ == 0 ? DiskException.InputOutput : 0,
            DiskCall.Rename or DiskCall.Delete => DiskException.InputOutput,
            _ => 0,
        };
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(StoreStatus.Failed, Append());
        }

        Assert.True(_disk.Names.Count > 8);
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Append());
        Compact();
        Assert.True(_disk.Names.Count < 8, string.Join(' ', _disk.Names));
    }

    private StoreStatus Append()
    {
        string id = _spool.NewQueueId();
        using ContentWriter writer = _spool.CreateContent();
        writer.WriteAsync(SpoolFolder.Text(id, 1000), CancellationToken.None).AsTask().GetAwaiter().GetResult();
        ValueTask<StoreStatus> stored = _spool.AppendAsync(SpoolFolder.Message(id), writer.CompleteAsync().AsTask().GetAwaiter().GetResult(), CancellationToken.None);
        Settle();
        Assert.True(stored.IsCompleted);
        return stored.Result;
    }

    private int Segments() => _disk.Names.Count(static name => name.EndsWith(".log", StringComparison.Ordinal));

    private void FailOnce(DiskCall failing)
    {
        bool failed = false;
        _disk.Fault = (call, _) =>
        {
            bool now = call == failing && !failed;
            failed |= now;
            return now ? DiskException.InputOutput : 0;
        };
    }

    private void Settle()
    {
        for (int i = 0; i < 10; i++)
        {
            _disk.CompleteBatch();
        }
    }

    private void Compact()
    {
        Task pass = _spool.CompactAsync();
        for (int i = 0; i < 1000 && !pass.IsCompleted; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            _disk.CompleteBatch();
        }

        Assert.True(pass.IsCompletedSuccessfully);
    }
}
