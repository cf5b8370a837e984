using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>What every table on a server promises, shown with the simplest protocol on real sockets.</summary>
public sealed class RemoteTableTests : IDisposable
{
    private readonly RemoteRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Lookups_of_one_key_at_a_time_are_asked_once()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        server.Hold();
        Task<string>[] lookups = [.. Enumerable.Range(0, 50).Select(i => _rig.AskAsync(Table(server), i % 2 == 0 ? "a" : "b"))];
        await Until.True(() => server.Requests.Count == 2);
        server.Release();
        Assert.All(await Task.WhenAll(lookups), static value => Assert.Equal("yes", value));
        Assert.Equal(["map a", "map b"], server.Requests.Order(StringComparer.Ordinal));

        // Nothing is kept: the next lookup asks again.
        Assert.Equal("yes", await _rig.AskAsync(Table(server), "a"));
        Assert.Equal(3, server.Requests.Count);
    }

    [Fact]
    public async Task A_caller_who_leaves_takes_nothing_from_the_others()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        server.Hold();
        using CancellationTokenSource leaving = new();
        Task<string> first = _rig.AskUntilAsync(Table(server), "a", leaving.Token);
        Task<string> second = _rig.AskAsync(Table(server), "a");
        await Until.True(() => server.Requests.Count == 1);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        server.Release();
        Assert.Equal("yes", await second);
    }

    [Fact]
    public async Task Connections_are_used_again_and_bounded()
    {
        await using TableServer server = SocketmapServer.Start(static request => "OK " + request);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal($"map k{i}", await _rig.AskAsync(Table(server), $"k{i}"));
        }

        Assert.Equal(1, server.Connections);
        server.Hold();
        Task<string>[] lookups = [.. Enumerable.Range(0, 50).Select(i => _rig.AskAsync(Table(server, "{connections=3}"), $"k{i}"))];
        await Until.True(() => server.Requests.Count == 23);
        server.Release();
        Assert.Equal(Enumerable.Range(0, 50).Select(static i => $"map k{i}"), await Task.WhenAll(lookups));
        Assert.Equal(4, server.Connections);
    }

    [Fact]
    public async Task An_answer_counts_for_its_lifetime_where_one_is_written()
    {
        int asked = 0;
        await using TableServer server = SocketmapServer.Start(request => request == "map no" ? "NOTFOUND " : request == "map ill" ? "TEMP x" : $"OK {++asked}");
        string table = Table(server, "{ttl=30s}");
        Assert.Equal(["1", "-", "!"], [await _rig.AskAsync(table, "a"), await _rig.AskAsync(table, "no"), await _rig.AskAsync(table, "ill")]);
        _rig.Time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(["1", "-", "!"], [await _rig.AskAsync(table, "a"), await _rig.AskAsync(table, "no"), await _rig.AskAsync(table, "ill")]);
        Assert.Equal(["map a", "map no", "map ill", "map ill"], server.Requests);
        _rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("2", await _rig.AskAsync(table, "a"));
    }

    [Fact]
    public async Task A_server_that_is_down_is_a_temporary_error_and_not_hammered()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        Assert.Equal("yes", await _rig.AskAsync(Table(server), "a"));
        await server.StopAsync();
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal("!", await _rig.AskAsync(Table(server), "a"));
        }

        Assert.Contains($"postfix/proxymap: warning: table {Table(server)} lookup error: connect to 127.0.0.1:{server.Port}: Connection refused", _rig.Log.All);

        // Back, but the pause after the failure is not over: nobody knocks.
        server.Start();
        Assert.Equal("!", await _rig.AskAsync(Table(server), "a"));
        Assert.Equal(1, server.Connections);
        _rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("yes", await _rig.AskAsync(Table(server), "a"));
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task The_pause_after_a_failure_doubles_up_to_sixteen_seconds()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "nonsense");
        foreach (int pause in (int[])[1, 2, 4, 8, 16, 16])
        {
            int before = server.Requests.Count;
            Assert.Equal("!", await _rig.AskAsync(Table(server), "a"));
            _rig.Time.Advance(TimeSpan.FromSeconds(pause - 0.5));
            Assert.Equal("!", await _rig.AskAsync(Table(server), "a"));
            Assert.Equal(before + 1, server.Requests.Count);
            _rig.Time.Advance(TimeSpan.FromSeconds(0.5));
        }
    }

    [Fact]
    public async Task A_server_that_was_restarted_is_no_failure()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        Assert.Equal("yes", await _rig.AskAsync(Table(server), "a"));
        await server.StopAsync();
        server.Start();
        Assert.Equal("yes", await _rig.AskAsync(Table(server), "a"));
        Assert.Empty(_rig.Log.All);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_in_time_is_a_temporary_error()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        server.Hold();
        Task<string> lookup = _rig.AskAsync(Table(server, "{timeout=5s}"), "a");
        await Until.True(() => server.Requests.Count == 1);
        _rig.Time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(lookup.IsCompleted);
        _rig.Time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal("!", await lookup);
        Assert.Contains(_rig.Log.All, static line => line.EndsWith("lookup error: no answer within 5 s", StringComparison.Ordinal));

        // The late answer belongs to a question that is over: it must not become another key's.
        server.Release();
        _rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("yes", await _rig.AskAsync(Table(server, "{timeout=5s}"), "b"));
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task Unused_connections_are_closed()
    {
        TaskCompletionSource ended = new();
        await using TableServer server = new(async (stream, _) =>
        {
            byte[] buffer = new byte[100];
            await stream.ReadAtLeastAsync(buffer, 1);
            await stream.WriteAsync("5:OK hi,"u8.ToArray());
            Assert.Equal(0, await stream.ReadAsync(buffer));
            ended.SetResult();
        });
        Assert.Equal("hi", await _rig.AskAsync(Table(server), "a"));
        _rig.Time.Advance(TimeSpan.FromSeconds(10));
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Keys_that_no_server_can_have_are_not_sent()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK yes");
        Assert.Equal("-", await _rig.AskAsync(Table(server), "a\0b"));
        Assert.Equal("-", await _rig.AskAsync(Table(server), "a\udcff"));
        Assert.Empty(server.Requests);
    }

    [Theory]
    [InlineData("socketmap:inet:127.0.0.1:1:map{ttl}", "missing '=' after attribute name in \"{ttl}\"")]
    [InlineData("socketmap:inet:127.0.0.1:1:map{ttl=x}", "bad option \"ttl=x\"")]
    [InlineData("socketmap:inet:127.0.0.1:1:map{connections=0}", "bad option \"connections=0\"")]
    [InlineData("socketmap:map", "socketmap requires server:socketmap argument")]
    [InlineData("socketmap:inet:127.0.0.1:map", "bad host or port")]
    [InlineData("tcp:127.0.0.1:99999", "bad host or port")]
    [InlineData("tcp:[::1", "bad host or port")]
    public async Task A_name_that_cannot_be_read_is_an_error_at_open_and_every_lookup_waits(string table, string reason)
    {
        Assert.Equal("!", await _rig.AskAsync(table, "a"));
        Assert.Contains(_rig.Log.All, line => line.StartsWith("postfix/proxymap: error: ", StringComparison.Ordinal) && line.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Servers_that_prove_nothing_give_no_commands_files_or_identities()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK |/bin/sh");
        Core.Tables.LookupResult result = await _rig.Registry.Open(Table(server), Core.Tables.TableSecurity.Aliases).LookupAsync("root", CancellationToken.None);
        Assert.Equal(Core.Tables.LookupStatus.TemporaryError, result.Status);
        Assert.Contains("is not allowed for security-sensitive data", result.Error, StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    private static string Table(TableServer server, string options = "") => $"socketmap:inet:127.0.0.1:{server.Port}:map{options}";
}
