using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Testing;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>Large contents have files; a file is used again, but never seen again.</summary>
public sealed class ContentFileTests
{
    private const int Large = 300_000;

    [Fact]
    public async Task A_content_that_is_done_with_leaves_its_file_to_a_later_one()
    {
        using SpoolFolder folder = new();
        OffloadDisk disk = new(folder.Disk);
        await using Server.Queue.Spool.Spool spool = await folder.OpenAsync(disk);
        string first = await SpoolFolder.AppendAsync(spool, length: Large);
        string firstFile = Assert.Single(folder.Files("*.content"));
        await RemoveAsync(spool, disk, first);

        // Shorter than what the file held, and longer.
        string second = await SpoolFolder.AppendAsync(spool, length: Large - 70_000);
        string secondFile = Assert.Single(folder.Files("*.content"));
        Assert.NotEqual(firstFile, secondFile);
        await IsWholeAsync(spool, second, Large - 70_000);
        await RemoveAsync(spool, disk, second);
        string third = await SpoolFolder.AppendAsync(spool, length: Large + 200_000);
        Assert.Single(folder.Files("*.content"));
        await IsWholeAsync(spool, third, Large + 200_000);
    }

    [Fact]
    public async Task What_a_reused_file_held_before_is_no_damage_after_a_restart()
    {
        using SpoolFolder folder = new();
        OffloadDisk disk = new(folder.Disk);
        string second;
        await using (Server.Queue.Spool.Spool spool = await folder.OpenAsync(disk))
        {
            await RemoveAsync(spool, disk, await SpoolFolder.AppendAsync(spool, length: Large));
            second = await SpoolFolder.AppendAsync(spool, length: Large - 100_000);
        }

        await using Server.Queue.Spool.Spool again = await folder.OpenAsync(disk);
        Assert.Empty(again.Damages);
        await IsWholeAsync(again, second, Large - 100_000);
    }

    [Fact]
    public async Task A_file_that_somebody_still_reads_is_not_written_to()
    {
        using SpoolFolder folder = new();
        OffloadDisk disk = new(folder.Disk);
        await using Server.Queue.Spool.Spool spool = await folder.OpenAsync(disk);
        string first = await SpoolFolder.AppendAsync(spool, length: Large);
        using StoredMessage reading = (await spool.LoadAsync(first, CancellationToken.None))!;
        await RemoveAsync(spool, disk, first);
        string second = await SpoolFolder.AppendAsync(spool, length: Large);
        Assert.Equal(SpoolFolder.Text(first, Large), await SpoolFolder.ReadAsync(reading.Content));
        await IsWholeAsync(spool, second, Large);
    }

    [Fact]
    public async Task Files_that_wait_for_reuse_are_few_and_gone_when_the_spool_is_closed()
    {
        using SpoolFolder folder = new();
        OffloadDisk disk = new(folder.Disk);
        await using (Server.Queue.Spool.Spool spool = await folder.OpenAsync(disk))
        {
            List<string> ids = [];
            for (int i = 0; i < 50; i++)
            {
                ids.Add(await SpoolFolder.AppendAsync(spool, length: 140_000));
            }

            foreach (string id in ids)
            {
                await RemoveAsync(spool, disk, id);
            }

            Assert.InRange(folder.Files("*.content").Length, 1, 32);

            // Too large to be kept.
            string huge = await SpoolFolder.AppendAsync(spool, length: 3 << 20);
            int before = folder.Files("*.content").Length;
            await RemoveAsync(spool, disk, huge);
            Assert.Equal(before - 1, folder.Files("*.content").Length);
        }

        Assert.Empty(folder.Files("*.content"));
    }

    [Fact]
    public async Task A_content_that_is_given_up_half_written_leaves_nothing()
    {
        using SpoolFolder folder = new();
        await using Server.Queue.Spool.Spool spool = await folder.OpenAsync();
        using (ContentWriter writer = spool.CreateContent())
        {
            await writer.WriteAsync(new byte[Large], CancellationToken.None);
            await writer.WriteAsync(new byte[Large], CancellationToken.None);
        }

        await Until.True(() => folder.Files("*.content").Length == 0);
    }

    private static async Task RemoveAsync(Server.Queue.Spool.Spool spool, OffloadDisk disk, string id)
    {
        Assert.True(await spool.RecordAsync([new MessageRemoved(id)]));
        await spool.FlushAsync();

        // Another thread gives the file back; the work for it was ordered before the record was said to be durable.
        await disk.DoneAsync();
    }

    private static async Task IsWholeAsync(Server.Queue.Spool.Spool spool, string id, int length)
    {
        using StoredMessage message = (await spool.LoadAsync(id, CancellationToken.None))!;
        Assert.Equal(length, message.Content.Length);
        Assert.Equal(SpoolFolder.Text(id, length), await SpoolFolder.ReadAsync(message.Content));
    }

    /// <summary>A disk whose work on other threads can be waited for.</summary>
    private sealed class OffloadDisk(IDisk inner) : IDisk
    {
        private readonly Lock _gate = new();
        private readonly List<Task> _offloaded = [];

        /// <summary>Waits until all work that was ordered so far is done.</summary>
        public Task DoneAsync()
        {
            lock (_gate)
            {
                return Task.WhenAll(_offloaded);
            }
        }

        public IDiskFile Open(string path, DiskOpen mode) => inner.Open(path, mode);

        public void Rename(string from, string to) => inner.Rename(from, to);

        public void Delete(string path) => inner.Delete(path);

        public void CreateDirectory(string path) => inner.CreateDirectory(path);

        public void SyncDirectory(string path) => inner.SyncDirectory(path);

        public IReadOnlyList<string> List(string directory) => inner.List(directory);

        public long FreeBytes(string directory) => inner.FreeBytes(directory);

        public Task OffloadAsync(Action work)
        {
            Task task = inner.OffloadAsync(work);
            lock (_gate)
            {
                _offloaded.Add(task);
            }

            return task;
        }
    }
}
