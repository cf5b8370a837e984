using System.Net;
using System.Net.Sockets;
using System.Text;
using Postwright.Core.Tables.Remote;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>A memcached.</summary>
public sealed class MemcacheServer : IAsyncLifetime
{
    private const string Program = "/usr/bin/memcached";

    private RealServer? _server;

    public static bool IsInstalled { get; } = File.Exists(Program);

    public RealServer Server => _server ?? throw new InvalidOperationException("memcached is not installed");

    public int Port { get; } = FreePort.Next();

    public async ValueTask InitializeAsync()
    {
        if (IsInstalled)
        {
            _server = new RealServer(
                await RealServer.MakeFolderAsync("memcache"), "memcache", Program, ["-l", "127.0.0.1", "-p", $"{Port}", "-m", "8", "-t", "1"],
                async () => await TellAsync("version") is ['V', ..]);
            await _server.StartAsync();
        }
    }

    /// <summary>Sends a command and reads a line.</summary>
    public async Task<string> TellAsync(string command)
    {
        try
        {
            using TcpClient client = new();
            await client.ConnectAsync(IPAddress.Loopback, Port);
            await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(command + "\r\n"));
            using StreamReader reader = new(client.GetStream());
            return await reader.ReadLineAsync() ?? "";
        }
        catch (SocketException)
        {
            return "";
        }
    }

    public Task<string> SetAsync(string key, string value) => TellAsync($"set {key} 0 0 {Encoding.UTF8.GetByteCount(value)}\r\n{value}");

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>memcache: against a memcached, and against one that behaves badly.</summary>
public sealed class MemcacheTableTests(MemcacheServer memcache) : IClassFixture<MemcacheServer>, IDisposable
{
    private readonly RemoteRig _rig = new(time: TimeProvider.System);

    public void Dispose() => _rig.Dispose();

    private string Where
    {
        get
        {
            Assert.SkipUnless(MemcacheServer.IsInstalled, "memcached is not installed");
            return $"memcache = inet:127.0.0.1:{memcache.Port}\ntimeout = 50\n";
        }
    }

    [Fact]
    public async Task Values_are_found_under_the_formatted_key()
    {
        string table = _rig.Configure("memcache", Where + "key_format = t:%u/%d\n");
        Assert.Equal("STORED", await memcache.SetAsync("t:joe/example.com", "a v\u00e9 b"));
        Assert.Equal(["a v\u00e9 b", "-", "-"], [await _rig.AskAsync(table, "joe@example.com"), await _rig.AskAsync(table, "jim@example.com"), await _rig.AskAsync(table, "joe")]);
    }

    [Fact]
    public async Task Answers_are_those_of_postfix()
    {
        using var bench = new TableBench();
        await memcache.SetAsync("k1", "one");
        await memcache.SetAsync("k2", "t w o ");
        await memcache.SetAsync("k3", "");
        await memcache.SetAsync("k4", new string('x', 20_000));
        foreach (string settings in (string[])["", "data_size_limit = 5\n", "key_format = k%s\n", "domain = example.com\n"])
        {
            string table = _rig.Configure("memcache", Where + settings);
            File.SetUnixFileMode(_rig.Folder, (UnixFileMode)0x1ed);
            await Parallel.ForEachAsync((string[])["k1", "K1", "k2", "k3", "k4", "none", "1", "a b", "a\tb", new string('k', 251), new string('k', 250), "k1@example.com"], TestContext.Current.CancellationToken, async (key, _) =>
            {
                (int Status, string Output, string Error) theirs = await Task.Run(() => bench.Postfix("postmap", "", "-q", key, table), CancellationToken.None);
                string expected = theirs.Status == 0 ? theirs.Output[..^1] : theirs.Error.Contains("fatal: ", StringComparison.Ordinal) ? "!" : "-";
                string actual = await _rig.AskAsync(table, key);
                Assert.True(expected == actual, $"{settings}{key}: Postfix says {expected} ({theirs.Error}), we say {actual}");
            });
        }
    }

    [Fact]
    public async Task A_backup_table_answers_for_what_memcache_lacks_and_its_answer_is_kept()
    {
        await memcache.SetAsync("b:kept", "from memcache");
        string table = _rig.Configure("memcache", Where + "key_format = b:%s\nbackup = inline:{kept=no,rare=backup}\nttl = 60\n");
        Assert.Equal("from memcache", await _rig.AskAsync(table, "kept"));
        Assert.Equal("-", await _rig.AskAsync(table, "none"));
        string set = _rig.Configure("memcache", Where + "key_format = b:%s\nbackup = inline:{rare=backup}\n");
        Assert.Equal("backup", await _rig.AskAsync(set, "rare"));
        Assert.Equal("backup", await _rig.AskAsync(_rig.Configure("memcache", Where + "key_format = b:%s\n"), "rare"));

        // Without memcache the backup answers alone; without both it is an error.
        string dead = $"memcache = inet:127.0.0.1:{FreePort.Next()}\n";
        Assert.Equal("backup", await _rig.AskAsync(_rig.Configure("memcache", dead + "backup = inline:{rare=backup}\n"), "rare"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("memcache", dead + "backup = fail:x\n"), "rare"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("memcache", dead), "rare"));
    }

    [Fact]
    public async Task Down_slow_and_back_it_is_an_error_for_as_long()
    {
        string table = _rig.Configure("memcache", Where);
        await memcache.SetAsync("state", "up");
        await ServerStates.RunAsync(_rig, memcache.Server, table, "state", "up", () => memcache.SetAsync("state", "up"));
    }

    [Fact]
    public async Task A_command_without_an_answer_is_tried_again_after_a_pause()
    {
        using RemoteRig rig = new();
        await using TableServer server = new(static async (stream, server) =>
        {
            using StreamReader reader = new(stream);
            while (await reader.ReadLineAsync() is { } line)
            {
                await server.NoteAsync(line);
                if (server.Requests.Count == 1)
                {
                    return;
                }

                await stream.WriteAsync("VALUE k 0 2\r\nhi\r\nEND\r\n"u8.ToArray());
            }
        });
        Task<string> lookup = rig.AskAsync(rig.Configure("memcache", $"memcache = inet:127.0.0.1:{server.Port}\nretry_pause = 3\ntimeout = 100000\n"), "k");
        await Until.True(() => server.Requests.Count == 1);
        await Until.True(rig.Time, TimeSpan.FromMilliseconds(100), () => lookup.IsCompleted);
        Assert.Equal("hi", await lookup);
        Assert.Equal(["get k", "get k"], server.Requests);
    }

    [Theory]
    [InlineData("VALUE k 0 5\r\nhello\r\nEND\r\n", "hello")]
    [InlineData("END\r\n", "-")]
    [InlineData("VALUE k 0 5\r\nhello\r\nVALUE\r\n", "!")]
    [InlineData("VALUE k 0 99999\r\n", "!")]
    [InlineData("VALUE k 0 -1\r\n", "!")]
    [InlineData("VALUE k 0\r\n", "!")]
    [InlineData("SERVER_ERROR out of memory\r\n", "!")]
    [InlineData("VALUE k 0 5\r\nhel", "!")]
    [InlineData("\r\n", "!")]
    public async Task Only_a_whole_reply_is_an_answer(string reply, string expected)
    {
        await using TableServer server = new(async (stream, _) =>
        {
            await stream.ReadAtLeastAsync(new byte[100], 7);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(reply));
        });
        Assert.Equal(expected, await _rig.AskAsync(_rig.Configure("memcache", $"memcache = inet:127.0.0.1:{server.Port}\nmax_try = 1\n"), "k"));
    }

    [Fact]
    public void Whatever_comes_is_read_without_another_exception()
    {
        string[] pieces = ["VALUE", " ", "END", "k", "0", "5", "-", "99999999999", "\r", "\0", "\u00ff"];
        FuzzTime fuzz = new(100_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] line = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Range(0, random.Next(10)).Select(_ => pieces[random.Next(pieces.Length)])));
            try
            {
                Assert.InRange(MemcacheTable.ParseHead(line, 100) ?? 0, 0, 100);
            }
            catch (RemoteFailure)
            {
            }
        }
    }
}
