using System.Text;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>socketmap: and tcp:, against scripted servers, and against the real Postfix on the same servers.</summary>
public sealed class LineProtocolTests : IDisposable
{
    private static readonly string[] SocketmapReplies =
    [
        "OK value", "OK  two  blanks ", "OK ", "OK", "NOTFOUND ", "NOTFOUND", "NOTFOUND x", "TEMP later", "TEMP ", "TIMEOUT slow", "PERM never", "nonsense", "", "ok x", "OK \u00e9",
    ];

    private static readonly string[] TcpReplies =
    [
        "200 value", "200 a%20b%25%c3%a9", "200 a b", "200 ", "200", "200 %", "200 %4", "200 %zz", "200\tx", "250 x", "500 no", "500 ", "400 later", "300 x", "20 x", "x", "", "299 a\r",
    ];

    private readonly RemoteRig _rig = new(time: TimeProvider.System);

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Socketmap_answers_are_those_of_postfix()
    {
        await using TableServer server = SocketmapServer.Start(static request => SocketmapReplies[int.Parse(request["map ".Length..])]);
        await CompareAsync($"socketmap:inet:127.0.0.1:{server.Port}:map", SocketmapReplies.Length);
    }

    [Fact]
    public async Task Tcp_answers_are_those_of_postfix()
    {
        await using TableServer server = StartTcp(static key => TcpReplies[int.Parse(key)]);
        await CompareAsync($"tcp:127.0.0.1:{server.Port}", TcpReplies.Length);
    }

    [Fact]
    public async Task Socketmap_works_on_a_unix_domain_socket()
    {
        await using TableServer server = SocketmapServer.Start(static request => "OK " + request, Path.Combine(_rig.Folder, "sock"));
        Assert.Equal("some.map Key", await _rig.AskAsync($"socketmap:unix:{_rig.Folder}/sock:some.map", "Key"));
    }

    [Fact]
    public async Task Tcp_keys_are_encoded_so_that_they_stay_one_word()
    {
        await using TableServer server = StartTcp(static _ => "500 no");
        Assert.Equal("-", await _rig.AskAsync($"tcp:127.0.0.1:{server.Port}", "a b%\n\"\u00e9x\"@Y"));
        Assert.Equal(["a%20b%25%0A\"%C3%A9x\"@Y"], server.Requests);
    }

    [Fact]
    public async Task Both_see_whole_keys_only()
    {
        await using TableServer server = StartTcp(static _ => "500 no");
        Assert.True(_rig.Registry.Open($"tcp:127.0.0.1:{server.Port}").MatchesWholeKeysOnly);
        Assert.True(_rig.Registry.Open($"socketmap:inet:127.0.0.1:{server.Port}:x").MatchesWholeKeysOnly);
    }

    [Theory]
    [InlineData("4:OK a,", "a")]
    [InlineData("4:OK a.", "!")]
    [InlineData("04:OK a,", "!")]
    [InlineData(":OK a,", "!")]
    [InlineData("x:OK a,", "!")]
    [InlineData("0:,", "!")]
    [InlineData("100001:OK a", "!")]
    [InlineData("9999999999999:OK", "!")]
    [InlineData("10:OK a,", "!")]
    public async Task Only_a_well_formed_netstring_within_the_limit_is_an_answer(string bytes, string expected)
    {
        await using TableServer server = new(async (stream, _) =>
        {
            await stream.ReadAtLeastAsync(new byte[100], 6);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(bytes));
        });
        Assert.Equal(expected, await _rig.AskAsync($"socketmap:inet:127.0.0.1:{server.Port}:m", "k"));
    }

    [Fact]
    public async Task The_sizes_of_socketmap_requests_and_replies_have_limits()
    {
        using RemoteRig rig = new("socketmap_max_query_size = 10\nsocketmap_max_reply_size = 20\n");
        await using TableServer server = SocketmapServer.Start(static request => "OK " + new string('x', int.Parse(request[2..])));
        string table = $"socketmap:inet:127.0.0.1:{server.Port}:m";
        Assert.Equal(17, (await rig.AskAsync(table, "17")).Length);
        Assert.Equal("!", await rig.AskAsync(table, "18"));
        rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("!", await rig.AskAsync(table, "000000017"));

        // A failure on a connection that was kept is tried once more on a new one.
        Assert.Equal(["m 17", "m 18"], server.Requests.Distinct());
    }

    [Fact]
    public async Task A_tcp_reply_has_at_most_4096_bytes()
    {
        await using TableServer server = StartTcp(static key => "200 " + new string('x', int.Parse(key)));
        Assert.Equal(4091, (await _rig.AskAsync($"tcp:127.0.0.1:{server.Port}", "4091")).Length);
        Assert.Equal("!", await _rig.AskAsync($"tcp:127.0.0.1:{server.Port}", "4092"));
    }

    [Fact]
    public void Whatever_a_server_sends_is_read_without_an_exception_of_ours()
    {
        string[] pieces = ["OK", " ", "NOTFOUND", "TEMP", "PERM", "200", "500", "400", "%", "%41", "%0", "\0", "\r", "\t", "\u00ff", "x", "9"];
        FuzzTime fuzz = new(200_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] reply = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Range(0, random.Next(8)).Select(_ => pieces[random.Next(pieces.Length)])));
            foreach (Func<byte[], LookupResult> parse in (Func<byte[], LookupResult>[])[static r => SocketmapTable.ParseReply(r), static r => TcpTable.ParseReply(r)])
            {
                try
                {
                    LookupResult result = parse(reply);
                    Assert.True(result.Status != LookupStatus.TemporaryError && (result.IsFound || result.Value is null), $"seed {seed}");
                }
                catch (RemoteFailure)
                {
                }
            }
        }
    }

    private static TableServer StartTcp(Func<string, string> reply) => new(async (stream, server) =>
    {
        using StreamReader reader = new(stream, Encoding.Latin1);
        while (await reader.ReadLineAsync() is { } line)
        {
            Assert.StartsWith("get ", line, StringComparison.Ordinal);
            await server.NoteAsync(line[4..]);
            await stream.WriteAsync(Encoding.UTF8.GetBytes(reply(line[4..]) + "\n"));
        }
    });

    /// <summary>Keys 0, 1, 2... to Postfix's postmap and to ours; what they print and their status.</summary>
    private static async Task CompareAsync(string table, int count)
    {
        Assert.SkipUnless(File.Exists("/usr/sbin/postmap"), "Postfix is not installed");
        string ours = TestPrograms.PathOf("postmap");
        Assert.SkipUnless(File.Exists(ours), "the programs are not built");
        using var bench = new TableBench();
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 12 }, async (i, _) =>
        {
            (int Status, string Output, string Error) theirs = await Task.Run(() => bench.Postfix("postmap", "", "-q", $"{i}", table), CancellationToken.None);
            (int Status, string Output, string Error) mine = await Task.Run(() => bench.Run(ours, "", "-q", $"{i}", table), CancellationToken.None);
            Assert.True((theirs.Status, theirs.Output) == (mine.Status, mine.Output), $"key {i}\n--- Postfix: {theirs}\n--- ours: {mine}");
        });
    }
}
