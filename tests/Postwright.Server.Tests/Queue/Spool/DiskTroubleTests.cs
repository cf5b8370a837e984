using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>What the spool says while the disk fails, fills up, or is slow.</summary>
public sealed class DiskTroubleTests : SimulatedSpoolTests
{
    [Fact]
    public void Nothing_is_acknowledged_before_the_sync_and_all_that_waits_shares_the_next_one()
    {
        ValueTask<StoreStatus> first = Append();
        ValueTask<StoreStatus>[] others = [.. Enumerable.Range(0, 30).Select(_ => Append())];
        int before = Syncs();
        Assert.False(first.IsCompleted);
        _disk.CompleteBatch();
        Assert.True(first.IsCompleted);
        Assert.DoesNotContain(others, static task => task.IsCompleted);
        Assert.Empty(_spool.Entries().Skip(1));
        _disk.CompleteBatch();
        Assert.All(others, static task => Assert.Equal(StoreStatus.Stored, Finished(task)));
        Assert.Equal(before + 2, Syncs());
        Assert.Equal(31, _spool.Entries().Count);
    }

    [Fact]
    public void One_failed_sync_is_survived_by_writing_the_batch_to_another_segment()
    {
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        FailOnce(DiskCall.Sync, DiskException.InputOutput);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.Equal(2, _disk.Names.Count(static name => name.EndsWith(".log", StringComparison.Ordinal)));
        Assert.Contains(_log, static line => line.Contains("is abandoned", StringComparison.Ordinal));
        Assert.Equal(2, _spool.Entries().Count);
    }

    [Fact]
    public void While_every_sync_fails_nothing_is_acknowledged_and_service_returns_by_itself()
    {
        Settle(Append());
        string kept = _spool.Entries()[0].QueueId;
        _disk.Fault = static (call, _) => call == DiskCall.Sync ? DiskException.InputOutput : 0;
        int files = 0;
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(StoreStatus.Failed, Settle(Append()));
            files = i == 1 ? _disk.Names.Count : files;
        }

        Assert.Equal(files, _disk.Names.Count);
        Task<bool> held = _spool.RecordAsync([new MessageHeld(kept)], urgent: true);
        Settle();
        Assert.True(held.IsCompleted && !IsTrue(held));
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Kill();
        _spool = Open();
        Assert.Equal(2, _spool.Entries().Count);
        Assert.Contains(_spool.Entries(), entry => entry.QueueId == kept && entry.Queue == QueueName.Hold);
    }

    [Fact]
    public void A_full_disk_refuses_mail_but_takes_results_and_takes_mail_again_when_there_is_room()
    {
        Settle(Append());
        string first = _spool.Entries()[0].QueueId;
        _disk.Fault = static (call, _) => call is DiskCall.Preallocate or DiskCall.Create ? DiskException.NoSpace : 0;
        int stored = 0;
        while (Settle(Append()) is var status && status != StoreStatus.NoSpace)
        {
            Assert.Equal(StoreStatus.Stored, status);
            Assert.True(++stored < 1000);
        }

        for (int i = 0; i < 3; i++)
        {
            Task<bool> result = _spool.RecordAsync([new MessageDeferred(first, _time.GetUtcNow(), [new RecipientDelay(0, "4.4.1", $"try {i}")])], urgent: true);
            Settle();
            Assert.True(IsTrue(result));
        }

        Assert.Equal(stored + 1, _spool.Entries().Count);
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
    }

    [Fact]
    public void A_disk_that_the_queue_itself_has_filled_takes_mail_again_once_mail_was_delivered()
    {
        for (int i = 0; i < 300; i++)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        Compact();
        Assert.Contains(_disk.Names, static name => name.EndsWith("/index", StringComparison.Ordinal));
        _disk.Fault = static (call, _) => call is DiskCall.Preallocate or DiskCall.Create ? DiskException.NoSpace : 0;
        while (Settle(Append()) is var status && status != StoreStatus.NoSpace)
        {
            Assert.Equal(StoreStatus.Stored, status);
        }

        Task<bool> removed = _spool.RecordAsync([.. _spool.Entries().Select(static entry => new MessageRemoved(entry.QueueId))], urgent: true);
        Settle();
        Assert.True(IsTrue(removed));
        Compact();
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Kill();
        _spool = Open();
        Assert.Single(_spool.Entries());
    }

    [Fact]
    public void An_index_that_cannot_be_written_leaves_no_file_open()
    {
        Settle(Append());
        _disk.Fault = static (call, path) => call == DiskCall.Write && path.EndsWith("index.new", StringComparison.Ordinal) ? DiskException.NoSpace : 0;
        Task closing = _spool.DisposeAsync().AsTask();
        for (int i = 0; i < 20 && !closing.IsCompleted; i++)
        {
            _disk.CompleteBatch();
        }

        Assert.True(closing.IsCompletedSuccessfully);
        Assert.Contains(_log, static line => line.Contains("the index is not saved", StringComparison.Ordinal));
        Assert.Equal(0, _disk.OpenHandles);
    }

    [Fact]
    public void A_maildrop_file_stays_while_its_message_may_be_in_memory_only()
    {
        // Killed between the write and its sync. That the next start can sync proves nothing if the last one's sync had failed.
        Settle(Append());
        AppendFromMaildrop();
        _disk.Kill();
        _spool = Open();
        Assert.Equal(2, _spool.Entries().Count);
        Assert.Equal(StoreStatus.Failed, Settle(AppendFromMaildrop()));
        Compact();
        Assert.Equal(StoreStatus.Duplicate, Settle(AppendFromMaildrop()));
    }

    [Fact]
    public void A_maildrop_file_whose_message_is_delivered_before_it_can_be_told_apart_is_known_after_another_kill()
    {
        Settle(AppendFromMaildrop());
        _disk.Kill();
        _spool = Open();
        Assert.Equal(StoreStatus.Failed, Settle(AppendFromMaildrop()));
        Task<bool> removed = _spool.RecordAsync([new MessageRemoved(_spool.Entries()[0].QueueId)], urgent: true);
        Settle();
        Assert.True(IsTrue(removed));
        string before = Segments()[0];
        Compact();
        Assert.DoesNotContain(before, Segments());
        _disk.Kill();
        _spool = Open();
        Assert.NotEqual(StoreStatus.Stored, Settle(AppendFromMaildrop()));
    }

    [Fact]
    public void An_index_that_was_just_read_is_not_saved_again_for_the_keys_that_it_brought()
    {
        Settle(AppendFromMaildrop());
        RemoveFrom(1);
        Settle(Append());
        Task closing = _spool.DisposeAsync().AsTask();
        Settle();
        Assert.True(closing.IsCompletedSuccessfully);
        _spool = Open(SpoolWorld.Options with { SnapshotSegments = 100 });
        Settle(Append());
        FailOnce(DiskCall.Sync);
        Settle(Append());
        RemoveFrom(2);
        int before = Saved();
        Compact();
        Assert.DoesNotContain("/queue/spool/0000000002.log", Segments());
        Assert.Equal(before, Saved());
        Assert.Equal(StoreStatus.Duplicate, Settle(AppendFromMaildrop()));

        int Saved() => _disk.History.Count(static e => e.Kind == DiskEventKind.Rename && e.Name.EndsWith("/index", StringComparison.Ordinal));

        void RemoveFrom(uint segment)
        {
            _ = _spool.RecordAsync(
                [.. _spool.Index.Entries.Values.Where(entry => entry.Segment!.Generation == segment).Select(static entry => new MessageRemoved(entry.QueueId))], urgent: true);
            Settle();
        }
    }

    [Fact]
    public void Who_finds_little_room_has_space_won_back_although_no_mail_comes_in()
    {
        _disk.Free = 100 * SpoolWorld.Options.SegmentBytes;
        Assert.Equal(_disk.Free, _spool.Room().FileSystem);
        Assert.False(_spool.IsCompactionDue);
        _time.Advance(TimeSpan.FromSeconds(1));
        _disk.Free = 3 * SpoolWorld.Options.SegmentBytes;
        Assert.Equal(_disk.Free, _spool.Room().FileSystem);
        Assert.True(_spool.IsCompactionDue);
    }

    [Fact]
    public void While_room_is_little_no_file_of_a_large_content_is_kept_for_another()
    {
        Remove(Stored(5000));
        Assert.Single(Contents());
        string later = Stored(5000);
        _disk.Free = 3 * SpoolWorld.Options.SegmentBytes;
        Remove(Stored(5000));
        _time.Advance(TimeSpan.FromSeconds(1));
        _spool.Room();
        Assert.Single(Contents());
        Remove(later);
        Assert.Empty(Contents());

        string[] Contents() => [.. _disk.Names.Where(static name => name.EndsWith(".content", StringComparison.Ordinal))];

        string Stored(int length)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append(length)));
            return _spool.Entries()[^1].QueueId;
        }

        void Remove(string id)
        {
            Task<bool> removed = _spool.RecordAsync([new MessageRemoved(id)], urgent: true);
            Settle();
            Assert.True(IsTrue(removed));
        }
    }

    [Fact]
    public void Less_than_queue_minfree_refuses_mail_only()
    {
        _spool = Open(SpoolWorld.Options with { MinFree = 1000, Directory = "/other/spool" });
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        _disk.Free = 999;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(999, _spool.Room().FileSystem);
        Assert.Equal(SpoolWorld.Options.SegmentBytes, _spool.Room().Kept);
        Assert.Equal(StoreStatus.NoSpace, Settle(Append()));
        Task<bool> result = _spool.RecordAsync([new MessageHeld(_spool.Entries()[0].QueueId)], urgent: true);
        Settle();
        Assert.True(IsTrue(result));
        _disk.Free = 1000;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
    }

    [Fact]
    public void A_change_that_nobody_waits_for_is_committed_within_milliseconds_and_rides_along_before()
    {
        Settle(Append());
        string id = _spool.Entries()[0].QueueId;
        Task<bool> alone = _spool.RecordAsync([new MessageHeld(id)]);
        Assert.False(_disk.IsBatchPending);
        _time.Advance(SpoolWorld.Options.LazyDelay);
        Assert.True(_disk.IsBatchPending);
        _disk.CompleteBatch();
        Assert.True(IsTrue(alone));

        Task<bool> along = _spool.RecordAsync([new MessageReleased(id)]);
        ValueTask<StoreStatus> mail = Append();
        _disk.CompleteBatch();
        Assert.True(mail.IsCompleted && IsTrue(along));
    }

    [Fact]
    public void Large_content_whose_file_cannot_be_synced_is_not_acknowledged()
    {
        Settle(Append());
        FailOnce(DiskCall.Sync, DiskException.InputOutput);
        Assert.Equal(StoreStatus.Failed, Settle(Append(5000)));
        FailOnce(DiskCall.SyncDirectory, DiskException.NoSpace);
        Assert.Equal(StoreStatus.NoSpace, Settle(Append(5000)));
        Assert.Equal(StoreStatus.Stored, Settle(Append(5000)));
    }

    [Fact]
    public async Task A_failed_write_of_arriving_content_tells_the_writer_what_failed()
    {
        using ContentWriter writer = _spool.CreateContent();
        FailOnce(DiskCall.Create, DiskException.NoSpace);
        IOException failure = await Assert.ThrowsAnyAsync<IOException>(async () => await writer.WriteAsync(new byte[5000], CancellationToken.None));
        Assert.Equal(28, failure.HResult);
    }

    [Fact]
    public async Task The_real_disk_reports_what_the_system_says()
    {
        var disk = new LinuxDisk();
        using IDiskFile full = disk.Open("/dev/full", DiskOpen.ReadWrite);
        Assert.Equal(DiskException.NoSpace, await full.WriteAndSyncAsync([new byte[10]], 0, onCallersThread: true));
        Assert.Equal(DiskException.NoSpace, await full.WriteAndSyncAsync([new byte[10]], 0, onCallersThread: false));
        Assert.Equal(DiskException.NoSpace, Assert.Throws<DiskException>(() => full.Write(new byte[10], 0)).Errno);
        using IDiskFile none = disk.Open("/dev/null", DiskOpen.ReadWrite);
        Assert.Throws<DiskException>(none.Sync);
        Assert.Equal(22, Assert.Throws<DiskException>(() => none.Truncate(0)).Errno);
        Assert.Equal(DiskException.NoSuchFile, Assert.Throws<DiskException>(() => disk.Open("/nowhere/at/all", DiskOpen.Read)).Errno);
        Assert.Empty(disk.List("/nowhere/at/all"));
        Assert.True(disk.FreeBytes("/") > 0);
    }

    [Fact]
    public void The_real_disk_ends_a_file_where_it_is_told_to()
    {
        using var folder = new SpoolFolder();
        string path = Path.Combine(Path.GetDirectoryName(folder.Options.Directory)!, "file");
        using IDiskFile file = new LinuxDisk().Open(path, DiskOpen.CreateNew);
        file.Preallocate(1 << 20);
        file.Write([1, 2, 3], 4096);
        file.Truncate(4098);
        Assert.Equal(4098, file.Length);
        byte[] bytes = new byte[10];
        Assert.Equal(2, file.Read(bytes, 4096));
        Assert.Equal([1, 2, 0], bytes[..3]);
    }

    [Theory]
    [InlineData("123456789", 0xe3069283)]
    [InlineData("", 0u)]
    [InlineData("The quick brown fox jumps over the lazy dog", 0x22620404)]
    public void The_checksum_is_CRC_32C_with_and_without_the_processor(string text, uint expected)
    {
        byte[] bytes = System.Text.Encoding.ASCII.GetBytes(text);
        Assert.Equal(expected, Crc32C.Compute(bytes));
        Assert.Equal(expected, ~Crc32C.AppendByTable(~0u, bytes));
    }

    private ValueTask<StoreStatus> AppendFromMaildrop() => Append(1000, static envelope => envelope with { MaildropKey = "4dhS:7" });

    private static bool IsTrue(Task<bool> task) => task.IsCompleted && task.Result;

    private int Syncs() => _disk.History.Count(static e => e.Kind == DiskEventKind.Sync);
}
