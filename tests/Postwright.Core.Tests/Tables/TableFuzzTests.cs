using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

/// <summary>Whatever table files hold: nothing is thrown, nothing hangs, and a found value is one that was put in.</summary>
public sealed class TableFuzzTests
{
    private static readonly string[] Pieces =
    [
        "a", "b", "k1", "@", ".", " ", "\t", "\n", "\n ", "\"", "\\", "#", ":", ": ", ",", "{", "}", "=", "/", "/", "!", "!/", "/i", "/x ", "$1", "${1}", "$(", "$$", "(", ")",
        "[", "]", "*", "+", "?", "|", "^", "\\1", "\\d", "(?", "(?i)", "[[:", ":]]", "{2,3}", "if ", "if /a/", "endif", "IF 1.2.0.0/16", "ENDIF x", "1.2.3.4", "1.2.3.0/24", "::1",
        "[::", "2001:db8::/32", "/33", "/-1", "|\"x y\"", ":include:/x", "<a@b>", "\0", "\r", "\u00e9", "\udcff", "x x", "root: joe", "(c", "\"q q\": z",
    ];

    [Theory]
    [InlineData("hash")]
    [InlineData("btree")]
    [InlineData("lmdb")]
    [InlineData("cdb")]
    public void Binary_files_with_random_damage_are_read_without_an_exception(string type)
    {
        using var bench = new TableBench();
        string path = bench.Write("map", TableEntries.Source(400));
        Assert.Equal(0, bench.Postfix("postmap", "", $"{type}:{path}").Status);
        IndexKind kind = IndexKind.Of(type)!;
        byte[] good = File.ReadAllBytes(path + kind.Suffix);
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(bench["damaged"], FileMode.Create, FileAccess.ReadWrite);
        int found = 0;
        int damaged = 0;
        var time = new FuzzTime(1000);
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, Damaged(good, random), 0);
            try
            {
                IndexReader reader = kind.MakeReader(new IndexFile(file) { KeepsContent = random.Next(2) == 0 });
                if (!reader.ReadMeta())
                {
                    damaged++;
                    continue;
                }

                for (int i = 0; i < 8; i++)
                {
                    int key = random.Next(400);
                    byte[] bytes = TableText.EncodeWithNul(TableEntries.Key(key));
                    IndexOutcome outcome = reader.Find(kind.WritesNul ? bytes : bytes.AsSpan(0, bytes.Length - 1), out _);
                    found += outcome == IndexOutcome.Found ? 1 : 0;
                    damaged += outcome == IndexOutcome.Damaged ? 1 : 0;
                }

                int listed = 0;
                reader.List((_, _) => listed++);
                Assert.True(listed < 1_000_000);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }

        Assert.NotEqual(0, found);
        Assert.NotEqual(0, damaged);
    }

    [Theory]
    [InlineData("texthash")]
    [InlineData("cidr")]
    [InlineData("regexp")]
    [InlineData("pcre")]
    public async Task Text_files_of_random_pieces_are_read_without_an_exception(string type)
    {
        using var bench = new TableBench();
        var time = new FuzzTime(1500);
        int answers = 0;
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            string path = bench["text"];
            await File.WriteAllBytesAsync(path, TableText.Encode(Text(random)), TestContext.Current.CancellationToken);
            using var registry = new TableRegistry(bench.Log, bench.Time);
            try
            {
                ILookupTable table = registry.Open($"{type}:{path}");
                foreach (string key in (string[])["a", "k1", "1.2.3.4", "::1", "b@a.b", Text(random)])
                {
                    answers += (await table.LookupAsync(key, CancellationToken.None)).IsFound ? 1 : 0;
                }
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }

        Assert.NotEqual(0, answers);
    }

    [Fact]
    public async Task Names_of_random_pieces_are_opened_without_an_exception()
    {
        using var bench = new TableBench();
        string[] types = ["inline:{", "static:{", "randmap:{", "unionmap:{", "pipemap:{", "cidr:{{", "regexp:{{", "pcre:{{", "debug:", "internal:", ""];
        var time = new FuzzTime(3000);
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            string name = types[random.Next(types.Length)] + Text(random) + new string('}', random.Next(3));
            using var registry = new TableRegistry(bench.Log, bench.Time);
            try
            {
                await registry.Open(name).LookupAsync("a", CancellationToken.None);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}: {name}", failure);
            }
        }
    }

    [Fact]
    public void Sources_of_random_pieces_are_read_without_an_exception()
    {
        var time = new FuzzTime(10000);
        long entries = 0;
        for (int seed = 1; time.Includes(seed); seed++)
        {
            string text = Text(new Random(seed));
            try
            {
                foreach (bool utf8 in (bool[])[true, false])
                {
                    entries += SourceEntries.Read("x", LogicalLines.Read(new MemoryStream(TableText.Encode(text)), "x", _ => { }, long.MaxValue), "", utf8, _ => { }).Count();
                    entries += AliasSource.Read("x", LogicalLines.Read(new MemoryStream(TableText.Encode(text)), "x", _ => { }, long.MaxValue), utf8, _ => { }).Count();
                }
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }

        Assert.NotEqual(0, entries);
    }

    private static byte[] Damaged(byte[] good, Random random)
    {
        byte[] bad = [.. good];
        switch (random.Next(4))
        {
            case 0:
                return bad[..random.Next(bad.Length)];
            case 1:
                random.NextBytes(bad.AsSpan(random.Next(bad.Length - 64), 64));
                return bad;
            case 2:
                // What steers: the first bytes of pages.
                for (int i = 0; i < 4; i++)
                {
                    bad[(random.Next((bad.Length + 4095) / 4096) * 4096) + random.Next(48)] = (byte)random.Next(256);
                }

                return bad;
            default:
                for (int i = 0; i < 40; i++)
                {
                    bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
                }

                return bad;
        }
    }

    private static string Text(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => random.Next(30) == 0 ? ((char)random.Next(1, 0xd800)).ToString() : Pieces[random.Next(Pieces.Length)]));
}
