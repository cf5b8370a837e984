using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>A disk that failed for a while costs no space for longer than that.</summary>
public sealed class SpaceTests : SimulatedSpoolTests
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    [Fact]
    public void Segments_that_failed_syncs_left_nearly_empty_are_won_back()
    {
        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        Assert.True(Segments().Length > 10);
        Compact(Step);
        Assert.True(Segments().Length <= 4, $"{Segments().Length} segments for {_spool.Entries().Count} small messages");
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
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        _ = _spool.RecordAsync([.. _spool.Entries().Select(entry => new MessageRemoved(entry.QueueId))], urgent: true);
        Settle();
        _disk.Fault = (call, path) => call == failing && !path.EndsWith("/index.new", StringComparison.Ordinal) ? DiskException.InputOutput : 0;
        Compact(Step);
        _disk.Fault = static (_, _) => 0;
        Compact(Step);
        Compact(Step);
        Assert.True(Segments().Length <= 2, $"{Segments().Length} segments for no message: {string.Join('\n', _log)}");
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
    }

    [Fact]
    public void Files_that_could_neither_be_named_nor_deleted_go_when_they_can()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        int syncs = 0;
        _disk.Fault = (call, path) => call switch
        {
            DiskCall.Sync => syncs++ == 0 ? DiskException.InputOutput : 0,
            DiskCall.Rename or DiskCall.Delete => DiskException.InputOutput,
            _ => 0,
        };
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(StoreStatus.Failed, Settle(Append()));
        }

        Assert.True(_disk.Names.Count > 8);
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Compact(Step);
        Assert.True(_disk.Names.Count < 8, string.Join(' ', _disk.Names));
    }

    [Fact]
    public void What_could_not_be_made_is_not_deleted_again_and_again()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        int syncs = 0;
        int deletes = 0;
        _disk.Fault = (call, _) =>
        {
            deletes += call == DiskCall.Delete ? 1 : 0;
            return call is DiskCall.Create or DiskCall.Rename or DiskCall.Delete || (call == DiskCall.Sync && syncs++ == 0) ? DiskException.InputOutput : 0;
        };
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(StoreStatus.Failed, Settle(Append()));
        }

        Assert.True(deletes < 500, $"{deletes} deletes for 100 failures");
    }

    [Fact]
    public void Results_are_kept_until_the_removal_of_their_message_is_written()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append(1000, static envelope => SpoolFolder.Message(envelope.QueueId, "one@example.org", "two@example.org"))));
        string id = _spool.Entries()[0].QueueId;
        FailOnce(DiskCall.Sync);
        _ = _spool.RecordAsync([new RecipientsDone(id, [0])], urgent: true);
        Settle();
        FailOnce(DiskCall.Sync);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.Equal(3, Segments().Length);
        _disk.Fault = static (call, _) => call is DiskCall.Sync or DiskCall.Create ? DiskException.NoSpace : 0;
        _ = _spool.RecordAsync([new MessageRemoved(id)], urgent: true);
        Settle();
        Compact(Step);
        _disk.Fault = static (_, _) => 0;
        _disk.Kill();
        _spool = Open();
        Assert.True(_spool.Index.Entries[id].IsDone(0));
    }
}
