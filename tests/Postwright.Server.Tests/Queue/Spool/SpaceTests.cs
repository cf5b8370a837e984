using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing;
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

    [Fact]
    public void Messages_whose_copies_the_disk_refused_are_copied_by_the_next_pass()
    {
        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        _disk.Fault = static (call, _) => call == DiskCall.Sync ? DiskException.InputOutput : 0;
        Compact(Step);
        Assert.True(Segments().Length > 10);
        _disk.Fault = static (_, _) => 0;
        Compact(Step);
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
    public void Space_is_looked_for_after_a_segment_was_given_up()
    {
        // It may hold changes alone, so that no message that leaves would ask for it.
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.False(_spool.IsCompactionDue);
        FailOnce(DiskCall.Sync);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.True(_spool.IsCompactionDue);
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
    public void A_disk_that_has_room_for_a_few_segments_only_takes_mail_while_most_syncs_fail()
    {
        _disk.Capacity = 6 * SpoolWorld.Options.SegmentBytes;
        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
            FailOnce(DiskCall.Sync);
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        Assert.Equal(24, _spool.Entries().Count);
        _disk.Fault = static (_, _) => 0;
        Compact(Step);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        CheckAllIsThere(25);
    }

    [Fact]
    public void The_end_of_an_abandoned_segment_that_could_not_be_given_back_is_given_back_later()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        FailASyncAndAllTruncations();
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        string abandoned = Segments()[0];
        Assert.Equal(SpoolWorld.Options.SegmentBytes, _disk.Bytes(abandoned).Length);
        _disk.Fault = static (_, _) => 0;
        Compact(Step);
        Assert.Equal(3 * SegmentFormat.Page, _disk.Bytes(abandoned).Length);
        CheckAllIsThere(2);
    }

    [Fact]
    public void The_end_of_a_segment_that_the_last_process_has_abandoned_is_given_back_but_not_of_one_whose_end_is_not_known()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        FailASyncAndAllTruncations();
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Fault = static (_, _) => 0;
        _disk.Kill();
        _spool = Open();
        Compact(Step);
        Assert.Equal(3 * SegmentFormat.Page, _disk.Bytes(Segments()[0]).Length);
        Assert.Equal(SpoolWorld.Options.SegmentBytes, _disk.Bytes(Segments()[1]).Length);
        CheckAllIsThere(2);
    }

    [Fact]
    public void A_segment_whose_end_was_given_back_is_never_a_free_file()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        FailOnce(DiskCall.Sync);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Kill();
        _spool = Open();
        _ = _spool.RecordAsync([.. _spool.Entries().Select(entry => new MessageRemoved(entry.QueueId))], urgent: true);
        Settle();
        Compact(Step);
        Compact(Step);
        Assert.DoesNotContain("/queue/spool/0000000001.log", _disk.Names);
        Assert.All(_disk.Names.Where(static name => name.Contains("/free-", StringComparison.Ordinal)), name => Assert.Equal(SpoolWorld.Options.SegmentBytes, _disk.Bytes(name).Length));
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

    [Fact]
    public void A_new_segment_that_could_neither_be_used_nor_given_back_is_given_back_before_there_is_room_for_anything_else()
    {
        // What a killed process left must be written anew before a segment that held mail goes, and that needs room.
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _ = Append();
        _disk.Kill();
        _disk.Capacity = 4 * SpoolWorld.Options.SegmentBytes;
        _spool = Open();
        DiskCall last = DiskCall.Read;
        bool isOpen = false;
        _disk.Fault = (call, path) =>
        {
            // The first sync behind the rename is the batch's, but for that of a file which is made ready meanwhile.
            bool isBatch = call == DiskCall.Sync && isOpen && last != DiskCall.Preallocate;
            bool isBack = call is DiskCall.Rename or DiskCall.Delete && path.EndsWith(".log", StringComparison.Ordinal);
            isOpen = (isOpen && !isBatch) || (call == DiskCall.Rename && !isBack);
            last = call;
            return isBatch || isBack ? DiskException.InputOutput : 0;
        };
        while (Settle(Append()) == StoreStatus.Failed)
        {
        }

        Assert.Equal(4, Segments().Length);
        _disk.Fault = static (_, _) => 0;
        Compact(Step);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.Equal(3, _spool.Entries().Count);
    }

    [Fact]
    public void A_short_segment_whose_first_header_is_gone_is_read_by_its_second()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        FailOnce(DiskCall.Sync);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Bytes(Segments()[0]).AsSpan(0, SegmentFormat.Page).Clear();
        _disk.Kill();
        _spool = Open();
        Assert.Single(_spool.Damages);
        Assert.Equal(2, _spool.Entries().Count);
    }

    private void FailASyncAndAllTruncations()
    {
        bool failed = false;
        _disk.Fault = (call, _) =>
        {
            bool sync = call == DiskCall.Sync && !failed;
            failed |= sync;
            return sync || call == DiskCall.Truncate ? DiskException.InputOutput : 0;
        };
    }

    /// <summary>Also after a power cut at any moment that leaves the file as long as it was, or short.</summary>
    private void CheckAllIsThere(int messages)
    {
        Assert.Equal(messages, _spool.Entries().Count);
        for (int seed = 0; seed < 10; seed++)
        {
            var chance = new Random(seed);
            var image = new DiskImage(_disk);
            foreach (DiskEvent happened in _disk.History)
            {
                image.Advance(happened, chance);
            }

            Server.Queue.Spool.Spool spool = Server.Queue.Spool.Spool.OpenAsync(
                SpoolWorld.Options, image.Cut(chance), new SeededChance(3), _time, new MailLog(new SpoolFolder.LinesSink([]), "postfix/qmgr", 1)).GetAwaiter().GetResult();
            Assert.Empty(spool.Damages);
            Assert.Equal(messages, spool.Entries().Count);
            Assert.All(spool.Entries(), entry => Assert.NotNull(spool.LoadAsync(entry.QueueId, CancellationToken.None).Result));
        }
    }
}
