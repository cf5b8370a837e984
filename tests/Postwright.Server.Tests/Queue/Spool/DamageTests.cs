using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing;
using Postwright.Testing.Disk;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>Bytes that changed on the disk: recovery never fails, and nothing is missing that the damage did not touch.</summary>
public sealed class DamageTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_changed_byte_costs_at_most_what_it_stands_in_and_is_reported(bool withIndex)
    {
        for (int seed = 0; seed < 8; seed++)
        {
            var queue = new WholeQueue(seed, withIndex);
            var random = new Random(seed);
            for (int i = 0; i < 60; i++)
            {
                queue.CheckDamaged($"seed {seed}, byte {i}", random, static (file, random) =>
                {
                    int at = random.Next(SegmentFormat.Page, file.Length - SegmentFormat.Page);
                    file[at] ^= (byte)(1 << random.Next(8));
                    return [(at, 1)];
                });
            }
        }
    }

    [Fact]
    public void Random_bytes_over_the_spool_never_stop_recovery()
    {
        FuzzTime fuzz = new(300);
        for (int seed = 1000; fuzz.Includes(seed - 999); seed++)
        {
            var queue = new WholeQueue(seed, withIndex: seed % 2 == 0);
            var random = new Random(seed);
            for (int i = 0; i < 30; i++)
            {
                queue.CheckDamaged($"seed {seed}, damage {i}", random, Spoil);
            }
        }
    }

    [Fact]
    public void A_segment_whose_first_header_is_gone_is_read_by_its_second()
    {
        var queue = new WholeQueue(7, withIndex: false);
        queue.CheckDamaged("header", new Random(1), static (file, _) =>
        {
            file.AsSpan(0, SegmentFormat.Page).Clear();
            return [(0, SegmentFormat.Page)];
        });
    }

    [Fact]
    public void A_damaged_index_changes_nothing()
    {
        var queue = new WholeQueue(9, withIndex: true);
        var random = new Random(9);
        for (int i = 0; i < 200; i++)
        {
            queue.CheckDamaged($"index, damage {i}", random, Spoil, "/index");
        }
    }

    private static List<(int Start, int Length)> Spoil(byte[] file, Random random)
    {
        var touched = new List<(int, int)>();
        for (int count = random.Next(1, 4); count > 0; count--)
        {
            int start = random.Next(file.Length);
            int length = Math.Min(file.Length - start, random.Next(3) switch { 0 => random.Next(1, 20), 1 => 512, _ => random.Next(1, 20_000) });
            Span<byte> target = file.AsSpan(start, length);
            switch (random.Next(file.Length < 4 * SegmentFormat.Page ? 3 : 4))
            {
                case 0:
                    target.Clear();
                    break;
                case 1:
                    random.NextBytes(target);
                    break;
                case 2:
                    // A write that went to the wrong place.
                    int from = random.Next(file.Length - length + 1);
                    file.AsSpan(from, length).ToArray().CopyTo(target);
                    break;
                default:
                    int page = random.Next(file.Length / SegmentFormat.Page) * SegmentFormat.Page;
                    int size = Math.Min(SegmentFormat.Page * random.Next(1, 4), file.Length - page);
                    (start, length) = (page, size);
                    int source = random.Next((file.Length - size) / SegmentFormat.Page) * SegmentFormat.Page;
                    file.AsSpan(source, size).ToArray().CopyTo(file.AsSpan(page));
                    break;
            }

            touched.Add((start, length));
        }

        return touched;
    }

    /// <summary>A settled queue, its files, and where every message stands in them.</summary>
    private sealed class WholeQueue
    {
        private readonly List<(string Name, byte[] Bytes)> _files;
        private readonly List<(string Id, (string File, int Offset, int Length)[] Places, byte[] Content)> _messages = [];
        private readonly string _lastId;

        public WholeQueue(int seed, bool withIndex)
        {
            var world = new SpoolWorld(seed, faulty: false);
            world.Run(150);
            world.Settle();
            world.Close();

            // One more message: its segment's header proves how far the others were synced. Only its own batch is unproven.
            _lastId = world.AppendOne();
            world.Settle();
            foreach ((string id, LedgerMessage message) in world.Ledger.Messages)
            {
                IndexEntry entry = world.Spool.Index.Entries[id];
                IEnumerable<(string, int, int)> expansions = (entry.Extra?.Expansions ?? []).Select(static e => (e.Segment!.Path, e.Offset, e.Length));
                _messages.Add((id, [(entry.Segment!.Path, entry.Offset, entry.Length), .. expansions], message.Content));
            }

            _files = [.. world.Disk.Names.Where(name => withIndex || Path.GetFileName(name) != "index").Select(name => (name, world.Disk.Bytes(name)))];
        }

        public void CheckDamaged(string name, Random random, Func<byte[], Random, List<(int Start, int Length)>> damage, string suffix = ".log")
        {
            (string Name, byte[] Bytes)[] files = [.. _files.Select(static file => (file.Name, file.Bytes.ToArray()))];
            (string Name, byte[] Bytes)[] logs = [.. files.Where(file => file.Name.EndsWith(suffix, StringComparison.Ordinal))];
            (string damaged, byte[] bytes) = logs[random.Next(logs.Length)];
            byte[] before = [.. bytes];
            List<(int Start, int Length)> touched = damage(bytes, random);
            touched.RemoveAll(range => before.AsSpan(range.Start, range.Length).SequenceEqual(bytes.AsSpan(range.Start, range.Length)));
            try
            {
                Check(files, damaged, bytes.Length, touched);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"{name}: {damaged} at {string.Join(" ", touched)}", failure);
            }
        }

        private void Check((string Name, byte[] Bytes)[] files, string damaged, int size, List<(int Start, int Length)> touched)
        {
            var disk = new SimulatedDisk(files);
            using var spool = new Opened(disk);
            bool noHeader = touched.Any(static range => range.Start < SegmentFormat.Page) && touched.Any(range => range.Start + range.Length > size - SegmentFormat.Page);
            foreach ((string id, (string File, int Offset, int Length)[] places, byte[] content) in _messages)
            {
                bool hit = places.Any(place => place.File == damaged
                    && (noHeader || touched.Any(range => range.Start < place.Offset + place.Length && place.Offset < range.Start + range.Length)));
                string? fault = spool.Read(id, content);
                Assert.True(hit || fault is null, $"{id} at {places[0]}: {fault}");
                Assert.True(fault is null || id == _lastId || spool.Reported, $"{id}: {fault}, and no damage was reported");
            }

            if (!spool.Reported)
            {
                Assert.Empty(spool.Ids.Except(_messages.Select(static m => m.Id)));
            }
        }
    }

    /// <summary>A spool recovered from damaged files.</summary>
    private sealed class Opened : IDisposable
    {
        private readonly Server.Queue.Spool.Spool _spool;
        private readonly List<string> _log = [];

        public Opened(SimulatedDisk disk)
        {
            var log = new MailLog(new SpoolFolder.LinesSink(_log), "postfix/qmgr", 1);
            _spool = Server.Queue.Spool.Spool.OpenAsync(SpoolWorld.Options, disk, new SeededChance(3), new FakeTimeProvider(), log).Result;
            Assert.All(_spool.Damages, damage => Assert.True(damage.KeptAs.Length == 0 || disk.Names.Contains(damage.KeptAs), damage.ToString()));
        }

        public bool Reported => _spool.Damages.Count > 0 || _log.Exists(static line => line.Contains("is damaged", StringComparison.Ordinal));

        public IEnumerable<string> Ids => _spool.Entries().Where(static entry => entry.Queue != QueueName.Corrupt).Select(static entry => entry.QueueId);

        /// <summary>Why a message is not what it was, or null.</summary>
        public string? Read(string id, byte[] content)
        {
            try
            {
                using StoredMessage? message = _spool.LoadAsync(id, CancellationToken.None).AsTask().Result;
                if (message is null)
                {
                    return "missing";
                }

                byte[] found = new byte[message.Content.Length];
                int count = message.Content.ReadAsync(0, found, CancellationToken.None).AsTask().Result;
                return count == content.Length && found.AsSpan().SequenceEqual(content) ? null : "another content";
            }
            catch (IOException failure)
            {
                return failure.Message;
            }
        }

        public void Dispose()
        {
        }
    }
}
