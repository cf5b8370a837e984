using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>A segment is given its next life in steps, and the disk or the process may fail between any two of them.</summary>
public sealed class RecycleTests : SimulatedSpoolTests
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    private readonly SegmentPool _pool;

    public RecycleTests() => _pool = new SegmentPool(SpoolWorld.Options with { Directory = "/pool", FreeSegments = 1 }, _disk, new SeededChance(1));

    [Fact]
    public void A_deleted_segment_whose_directory_could_not_be_synced_never_becomes_a_free_file()
    {
        (Segment first, Segment second) = (Next(), Next());
        Assert.Equal(0, _pool.Recycle(first, synced: true));
        FailOnce(DiskCall.SyncDirectory);
        Assert.Equal(DiskException.InputOutput, _pool.Recycle(second, synced: true));
        Next();
        Assert.Equal(0, _pool.Count);
        Assert.Equal(0, _pool.Recycle(second, synced: true));
        Assert.Equal(0, _pool.Count);
        Assert.Equal(SegmentPool.NameOf(4), Path.GetFileName(Next().Path));
    }

    [Fact]
    public void A_segment_that_could_not_be_deleted_is_deleted_although_there_is_a_place_for_it_by_now()
    {
        // The call has failed; whether the file is there is not known.
        (Segment first, Segment second) = (Next(), Next());
        Assert.Equal(0, _pool.Recycle(first, synced: true));
        FailOnce(DiskCall.Delete);
        Assert.Equal(DiskException.InputOutput, _pool.Recycle(second, synced: true));
        Next();
        Assert.Equal(0, _pool.Recycle(second, synced: true));
        Assert.Equal(0, _pool.Count);
        Assert.DoesNotContain(second.Path, _disk.Names);
    }

    [Fact]
    public void A_renamed_segment_whose_directory_could_not_be_synced_is_deleted_where_there_is_no_place_for_it_any_more()
    {
        (Segment first, Segment second) = (Next(), Next());
        FailOnce(DiskCall.SyncDirectory);
        Assert.Equal(DiskException.InputOutput, _pool.Recycle(first, synced: true));
        Assert.Equal(0, _pool.Recycle(second, synced: true));
        Assert.Equal(0, _pool.Recycle(first, synced: true));
        Assert.Equal(1, _pool.Count);
        Assert.Single(_disk.Names, static name => name.StartsWith("/pool/", StringComparison.Ordinal));
    }

    [Fact]
    public void A_renamed_segment_whose_directory_could_not_be_synced_is_a_free_file_once_it_can()
    {
        Segment first = Next();
        FailOnce(DiskCall.SyncDirectory);
        Assert.Equal(DiskException.InputOutput, _pool.Recycle(first, synced: true));
        Assert.Equal(0, _pool.Count);
        Assert.Equal(0, _pool.Recycle(first, synced: true));
        Assert.Equal(1, _pool.Count);
        Assert.Same(first.File, Next().File);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(0)]
    public void A_power_cut_after_half_of_it_loses_nothing_and_is_no_damage(int freeSegments)
    {
        int begun = FillAndRemove(freeSegments);
        FailDirectorySyncsOfSegments();
        Compact(Step);
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Compact(Step);
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        CheckCuts(begun);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(0)]
    public void A_process_that_follows_one_killed_after_half_of_it_writes_to_no_file_whose_name_a_power_cut_may_take_back(int freeSegments)
    {
        FillAndRemove(freeSegments);
        FailDirectorySyncsOfSegments();
        Compact(Step);
        _disk.Fault = static (_, _) => 0;
        _disk.Kill();
        _spool = Open(SpoolWorld.Options with { FreeSegments = freeSegments, Directory = "/queue/other" });
        int begun = _disk.History.Count;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        CheckCuts(begun);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(0)]
    public void A_stop_after_half_of_it_leaves_an_index_that_can_be_used(int freeSegments)
    {
        Fill(freeSegments);
        Compact(Step);
        while (Newest().Generation == 3 || Newest().End - Newest().Synced > 2 * SegmentFormat.Page)
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }

        // All mail in the newest segment is gone again, and what comes next does not fit into it: the next cannot be opened.
        Remove(entry => entry.Segment == Newest());
        FailOnce(DiskCall.Rename);
        string[] many = [.. Enumerable.Range(0, 300).Select(static i => $"recipient{i}@example.org")];
        Assert.Equal(StoreStatus.Failed, Settle(Append(1000, envelope => SpoolFolder.Message(envelope.QueueId, many))));
        FailDirectorySyncsOfSegments();
        Compact(Step);
        _disk.Fault = static (_, _) => 0;
        Assert.DoesNotContain(Newest().Path, _disk.Names);
        Task closing = _spool.DisposeAsync().AsTask();
        Settle();
        Assert.True(closing.IsCompletedSuccessfully);
        _log.Clear();
        _spool = Open(SpoolWorld.Options with { FreeSegments = freeSegments, Directory = "/queue/other" });
        Assert.DoesNotContain(_log, static line => line.Contains("index cannot be used", StringComparison.Ordinal));
    }

    [Fact]
    public void An_index_saved_while_a_new_segment_waits_for_its_first_sync_can_be_used_although_that_fails()
    {
        _spool = Open(SpoolWorld.Options with { SnapshotSegments = 1, Directory = "/queue/other" });
        Fill();
        Compact(Step);
        uint before = Newest().Generation;
        ValueTask<StoreStatus> last;
        do
        {
            last = Append();
            if (Newest().Generation == before)
            {
                Settle();
            }
        }
        while (Newest().Generation == before);

        Task pass = _spool.CompactAsync();
        Assert.True(pass.IsCompletedSuccessfully);
        FailOnce(DiskCall.Sync);
        Assert.Equal(StoreStatus.Stored, Settle(last));
        _disk.Kill();
        _log.Clear();
        int expected = _spool.Entries().Count;
        _spool = Open(SpoolWorld.Options with { Directory = "/queue/other" });
        Assert.Empty(_log);
        Assert.Equal(expected, _spool.Entries().Count);
    }

    private Segment Newest() => _spool.Index.Segments.Values.Last();

    private Segment Next() => _pool.Open([], out _, out _) ?? throw new InvalidOperationException("no segment can be opened");

    private void Fill(int freeSegments)
    {
        _spool = Open(SpoolWorld.Options with { FreeSegments = freeSegments, Directory = "/queue/other" });
        Fill();
    }

    private void Fill()
    {
        while (!Segments().Contains("/queue/other/0000000003.log"))
        {
            Assert.Equal(StoreStatus.Stored, Settle(Append()));
        }
    }

    private int FillAndRemove(int freeSegments)
    {
        Fill(freeSegments);
        int begun = _disk.History.Count;
        RemoveAll();
        return begun;
    }

    private void RemoveAll() => Remove(static _ => true);

    private void Remove(Func<IndexEntry, bool> which)
    {
        Task<bool> removed = _spool.RecordAsync([.. _spool.Index.Entries.Values.Where(which).Select(static entry => new MessageRemoved(entry.QueueId))], urgent: true);
        Settle();
        Assert.True(removed.IsCompleted && removed.Result);
    }

    /// <summary>A file has changed its name, or is gone, and that cannot be made durable.</summary>
    private void FailDirectorySyncsOfSegments()
    {
        bool half = false;
        _disk.Fault = (call, path) =>
        {
            half |= call is DiskCall.Rename or DiskCall.Delete && path.EndsWith(".log", StringComparison.Ordinal);
            return half && call == DiskCall.SyncDirectory ? DiskException.InputOutput : 0;
        };
    }

    private void CheckCuts(int begun)
    {
        string[] expected = [.. _spool.Entries().Select(static entry => entry.QueueId)];
        for (int seed = 0; seed < 20; seed++)
        {
            var chance = new Random(seed);
            var image = new DiskImage(_disk);
            for (int i = 0; i < _disk.History.Count; i++)
            {
                if (i >= begun)
                {
                    Check(image.Cut(chance), []);
                }

                image.Advance(_disk.History[i], chance);
            }

            Check(image.Cut(chance), expected);
        }

        void Check(SimulatedDisk disk, string[] ids)
        {
            SpoolOptions options = SpoolWorld.Options with { Directory = "/queue/other" };
            Server.Queue.Spool.Spool spool = Server.Queue.Spool.Spool.OpenAsync(
                options, disk, new SeededChance(3), _time, new MailLog(new SpoolFolder.LinesSink([]), "postfix/qmgr", 1)).GetAwaiter().GetResult();
            Assert.Empty(spool.Damages);
            Assert.Empty(ids.Except(spool.Entries().Select(static entry => entry.QueueId)));
        }
    }
}
