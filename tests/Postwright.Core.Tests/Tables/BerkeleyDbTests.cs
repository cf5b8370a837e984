using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

/// <summary>hash and btree files: what is theirs alone.</summary>
public sealed class BerkeleyDbTests
{
    [Theory]
    [InlineData("-N", "hash")]
    [InlineData("-n", "hash")]
    [InlineData("-N", "btree")]
    [InlineData("-n", "btree")]
    public async Task Keys_with_and_without_a_nul_are_found(string option, string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", "a 1\nb 2\n");
        bench.Postfix("postmap", "", option, $"{type}:{path}");
        Assert.Equal("=1", await bench.AskAsync($"{type}:{path}", "a"));
        Assert.Equal("=2", await bench.AskAsync($"{type}:{path}", "b"));
    }

    [Fact]
    public async Task A_lookup_waits_for_a_writer_that_holds_the_lock()
    {
        using var bench = new TableBench();
        string path = bench.Write("map", "a 1\n");
        bench.Postfix("postmap", "", $"hash:{path}");
        ILookupTable table = bench.Registry.Open($"hash:{path}");
        using Microsoft.Win32.SafeHandles.SafeFileHandle writer = Libc.Open(path + ".db", Libc.ReadWrite, 0, out _)!;
        Assert.Equal(0, Libc.Flock(writer, Libc.LockExclusive));
        Task<LookupResult> lookup = table.LookupAsync("a", CancellationToken.None).AsTask();
        bench.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(lookup.IsCompleted);
        Assert.Equal(0, Libc.Flock(writer, Libc.Unlock));
        for (int i = 0; i < 600 && !lookup.IsCompleted; i++)
        {
            bench.Time.Advance(TimeSpan.FromMilliseconds(20));
            await Task.WhenAny(lookup, Task.Delay(100, TestContext.Current.CancellationToken));
        }

        Assert.Equal("1", (await lookup).Value);
    }

    [Theory]
    [InlineData("hash")]
    [InlineData("btree")]
    public async Task Lookups_beside_a_rewriting_postmap_see_the_old_table_or_the_new_one(string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(300, 2000) + "version 0\n");
        bench.Postfix("postmap", "", $"{type}:{path}");
        using var registry = new TableRegistry(bench.Log, TimeProvider.System);
        ILookupTable table = registry.Open($"{type}:{path}");
        using var done = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(ReadAsync, TestContext.Current.CancellationToken))];
        for (int i = 1; i <= 12; i++)
        {
            bench.Write("map", TableEntries.Source(300 + (i * 40), 2000) + $"version {i}\n");
            if (i % 3 == 0)
            {
                File.Copy(path, path + "2", overwrite: true);
                bench.Postfix("postmap", "", $"{type}:{path}2");
                File.Move(path + "2.db", path + ".db", overwrite: true);
            }
            else
            {
                bench.Postfix("postmap", "", $"{type}:{path}");
            }
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(readers), count => Assert.NotEqual(0, count));
        Assert.Equal("12", (await table.LookupAsync("version", CancellationToken.None)).Value);
        Assert.Empty(bench.LogLines);

        async Task<int> ReadAsync()
        {
            int count = 0;
            int last = 0;
            do
            {
                int key = count % 300;
                Assert.Equal(TableEntries.Value(key), (await table.LookupAsync(TableEntries.Key(key, 2000), CancellationToken.None)).Value);
                int version = int.Parse((await table.LookupAsync("version", CancellationToken.None)).Value!, System.Globalization.CultureInfo.InvariantCulture);
                Assert.True(version >= last, $"{version} after {last}");
                last = version;
                count++;

                // The writer's lock must get its turn.
                await Task.Delay(1, CancellationToken.None);
            }
            while (!done.IsCancellationRequested);

            return count;
        }
    }

    [Theory]
    [InlineData("hash")]
    [InlineData("btree")]
    public async Task Damaged_files_never_throw_or_hang(string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(400, 2000));
        bench.Postfix("postmap", "", $"{type}:{path}");
        byte[] good = await File.ReadAllBytesAsync(path + ".db", TestContext.Current.CancellationToken);
        var random = new Random(20260821);
        int refused = 0;
        for (int round = 0; round < 600; round++)
        {
            byte[] bad = [.. good];
            int length = bad.Length;
            switch (round % 3)
            {
                case 0:
                    length = random.Next(good.Length);
                    break;
                case 1:
                    random.NextBytes(bad.AsSpan(random.Next(bad.Length - 64), 64));
                    break;
                default:
                    // One byte in the part of a page that steers: its header, its index, or the first page.
                    for (int i = 0; i < 4; i++)
                    {
                        int page = random.Next(bad.Length / 4096) * 4096;
                        bad[page + random.Next(128)] = (byte)random.Next(256);
                    }

                    break;
            }

            File.WriteAllBytes(path + ".new", bad.AsSpan(0, length));
            File.Move(path + ".new", path + ".db", overwrite: true);
            int key = random.Next(400);
            string answer = await bench.AskAsync($"{type}:{path}", TableEntries.Key(key, 2000));
            refused += answer == "!" ? 1 : 0;
            if (round % 3 == 0 && answer != "!")
            {
                Assert.Equal("=" + TableEntries.Value(key), answer);
            }

            ((IListable)bench.Registry.Open($"{type}:{path}")).List((_, _) => { });
        }

        Assert.NotEqual(0, refused);
        Assert.Contains(bench.LogLines, line => line.Contains("is damaged", StringComparison.Ordinal));
    }
}
