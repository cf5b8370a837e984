using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Deliver;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Queue;
using Postwright.Server.Tests.Deliver.Local;
using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Server.Tests.Deliver.Agent;

/// <summary>Tables on servers in alias_maps and virtual_mailbox_maps: the agent asks mail for them, in the middle of a delivery.</summary>
public sealed class AgentTableTests : IDisposable
{
    private readonly DeliveryRig _rig = new();
    private readonly DeliveryWorkers _workers = new("mail", 32);
    private readonly List<IDisposable> _open = [];

    public void Dispose()
    {
        _open.ForEach(static one => one.Dispose());
        _workers.Dispose();
        _rig.Dispose();
    }

    [Fact]
    public async Task An_alias_in_a_database_expands_and_gives_addresses_only()
    {
        await using TableServer server = PgsqlPeer.Start(static query => query switch
        {
            "team" => "alice, bob@example.net",
            "owner-team" => "boss",
            "command" => "\"|id\"",
            _ => null,
        });
        IDeliveryAgent agent = Agent($"alias_maps = {Configure(server)}\n");
        RecipientResult team = await DeliverAsync(agent, "team@example.com");
        Assert.Equal(["alice@example.com", "bob@example.net"], team.Into.Select(static one => one.Address));
        Assert.Equal("owner-team@example.com", team.NewSender);
        Assert.Equal("delivered to mailbox", (await DeliverAsync(agent, "alice@example.com")).Reason);
        Assert.Equal((DeliveryStatus.Bounced, "5.1.1"), Outcome(await DeliverAsync(agent, "nobody-here@example.com")));
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), Outcome(await DeliverAsync(agent, "command@example.com")));
        Assert.Contains(_rig.Lines.All, static line => line.EndsWith("commands, files and includes are not allowed here", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("proxy:TABLE")]
    [InlineData("debug:TABLE")]
    [InlineData("TABLE{ttl=10s, connections=2}")]
    [InlineData("unionmap:{inline:{x=y}, proxy:TABLE}")]
    [InlineData("pipemap:{inline:{info@example.com=other}, unionmap:{TABLE}}")]
    public async Task A_virtual_mailbox_is_found_in_a_table_on_a_server_also_where_other_tables_are_around_it(string form)
    {
        await using TableServer server = PgsqlPeer.Start(static query => query is "info@example.com" or "other" ? "info/" : null);
        IDeliveryAgent agent = Agent(Virtual(form.Replace("TABLE", Configure(server), StringComparison.Ordinal)));
        RecipientResult result = await DeliverAsync(agent, "info@example.com", "virtual");
        Assert.Equal((DeliveryStatus.Sent, "delivered to maildir"), (result.Status, result.Reason));
        Assert.Single(Directory.GetFiles(Path.Combine(_rig.Root, "vhosts", "info", "new")));
    }

    [Fact]
    public async Task A_server_that_proves_nothing_is_not_asked_for_mailboxes()
    {
        await using TableServer server = SocketmapServer.Start(static _ => "OK info/");
        IDeliveryAgent agent = Agent(Virtual($"socketmap:inet:127.0.0.1:{server.Port}:users"));
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5"), Outcome(await DeliverAsync(agent, "info@example.com", "virtual")));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task A_server_that_is_down_defers_and_mail_goes_when_it_is_back()
    {
        await using TableServer server = PgsqlPeer.Start(static query => query.Contains("info", StringComparison.Ordinal) ? "info/" : null);
        IDeliveryAgent agent = Agent(Virtual(Configure(server, "retry_interval = 1\n")));
        await server.StopAsync();
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5"), Outcome(await DeliverAsync(agent, "info@example.com", "virtual")));
        Assert.Contains(_rig.Lines.All, static line => line.Contains("warning: table virtual_mailbox_maps: lookup info@example.com: ", StringComparison.Ordinal));
        server.Start();
        await UntilSentAsync(agent);
    }

    [Fact]
    public async Task A_server_that_is_slow_defers_within_the_table_s_time_and_within_mail_s()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => "alice");
        string table = Configure(server);
        server.Hold();
        foreach (IDeliveryAgent agent in (IDeliveryAgent[])[Agent($"alias_maps = {table}{{timeout=1s}}\n"), Agent($"alias_maps = {table}\n", mailLimit: TimeSpan.FromMilliseconds(500))])
        {
            RecipientResult slow = await DeliverAsync(agent, "team@example.com");
            Assert.Equal((DeliveryStatus.Deferred, "4.3.0", "alias database unavailable"), (slow.Status, slow.Dsn, slow.Reason));
        }

        Assert.Contains(_rig.Lines.All, static line => line.EndsWith("no answer within 1 s", StringComparison.Ordinal));
        Assert.Contains(_rig.Lines.All, static line => line.EndsWith("no answer within 0.5 s", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Deliveries_that_ask_the_same_at_a_time_ask_the_server_once()
    {
        await using TableServer server = PgsqlPeer.Start(static query => query == "team" ? "alice" : null);
        StartedTimers lookups = new();
        IDeliveryAgent agent = Agent($"alias_maps = {Configure(server)}\nowner_request_special = no\n", mailTime: lookups);
        server.Hold();
        Task<RecipientResult>[] all = [.. Enumerable.Range(0, 20).Select(_ => DeliverAsync(agent, "team@example.com"))];

        // A lookup begins with its time limit. One that comes after the answer nevertheless asks again.
        await Until.True(() => lookups.Count == all.Length && server.Requests.Count > 0);
        server.Release();
        Assert.All(await Task.WhenAll(all), static one => Assert.Equal(["alice@example.com"], one.Into.Select(static to => to.Address)));
        Assert.InRange(server.Requests.Count, 1, 5);
    }

    [Fact]
    public async Task A_table_that_the_configuration_does_not_name_is_refused()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => "alice");
        string table = Configure(server);

        // Mail's own tables are not the agent's business, nor the tables of other parameters.
        IDeliveryAgent agent = Agent($"alias_maps = {table}\n", mailsMainCf: $"virtual_alias_maps = {table}\nvirtual_uid_maps = {table}\n");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), Outcome(await DeliverAsync(agent, "team@example.com")));
        Assert.Equal(0, server.Connections);
        Assert.Contains(_rig.Lines.All, line => line.Contains($"table {table} lookup error: neither alias_maps nor virtual_mailbox_maps names it", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_row_of_master_cf_may_name_a_table_of_its_own()
    {
        await using TableServer server = PgsqlPeer.Start(static query => query == "team" ? "alice" : null);
        IDeliveryAgent agent = Agent("", masterCf: $"local unix - n n - - local\n -o alias_maps={Configure(server)}\n");
        Assert.Equal(DeliveryStatus.Expanded, (await DeliverAsync(agent, "team@example.com")).Status);
    }

    [Fact]
    public async Task A_key_that_is_too_long_is_not_asked_and_not_called_unknown()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => null);
        IDeliveryAgent agent = Agent($"alias_maps = {Configure(server)}\n");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), Outcome(await DeliverAsync(agent, new string('a', TableFrames.QuestionLimit) + "@example.com")));
        Assert.Empty(server.Requests);
        Assert.Contains(_rig.Lines.All, static line => line.EndsWith("the key is too long", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Identities_do_not_come_through_the_agent_either()
    {
        await using TableServer server = PgsqlPeer.Start(static _ => "1600");
        IDeliveryAgent agent = Agent(Virtual("inline:{info@example.com=info/}") + $"virtual_gid_maps = {Configure(server)}\n");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5"), Outcome(await DeliverAsync(agent, "info@example.com", "virtual")));
        Assert.Equal(0, server.Connections);
    }

    private static (DeliveryStatus Status, string Dsn) Outcome(RecipientResult result) => (result.Status, result.Dsn);

    private async Task UntilSentAsync(IDeliveryAgent agent)
    {
        RecipientResult result;
        for (int i = 0; (result = await DeliverAsync(agent, "info@example.com", "virtual")).Status != DeliveryStatus.Sent; i++)
        {
            Assert.Equal(DeliveryStatus.Deferred, result.Status);
            Assert.True(i < 300, result.Reason);
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private string Virtual(string maps) => $"""
        virtual_mailbox_base = {_rig.Make("vhosts", 0b111_111_111)}
        virtual_mailbox_maps = {maps}
        virtual_uid_maps = static:{DeliveryRig.Number(1600)}
        virtual_gid_maps = static:{DeliveryRig.Number(1600)}

        """;

    private string Configure(TableServer server, string more = "")
    {
        string path = Path.Combine(_rig.Root, "pgsql.cf");
        File.WriteAllText(path, $"hosts = 127.0.0.1:{server.Port}\nuser = u\ndbname = d\nquery = %s\n{more}");
        return "pgsql:" + path;
    }

    /// <summary>Mail and the agent, each with tables of its own, over real sockets.</summary>
    private IDeliveryAgent Agent(string mainCf, string? masterCf = null, string? mailsMainCf = null, TimeSpan? mailLimit = null, TimeProvider? mailTime = null)
    {
        var questions = new TableQuestions(_rig.Log, TimeProvider.System);
        var tables = new TableRegistry(_rig.Log, TimeProvider.System, remote: new RemoteTables(MailConfiguration.FromText(""), questions.Ask));
        var server = new AgentServer(_rig.Services(mainCf, masterCf, tables), Identity.EffectiveUser, _rig.Log);
        var client = new AgentClient(
            () =>
            {
                (FrameSocket ours, FrameSocket theirs) = FrameSocket.Pair();
                server.Start(theirs);
                return ours;
            },
            _workers,
            _rig.Log);
        _open.AddRange([client, server, tables]);
        return client.With(ServedTables.From(_rig.Configuration(mailsMainCf ?? mainCf, masterCf), _rig.Tables, mailTime ?? TimeProvider.System, _rig.Log, mailLimit));
    }

    /// <summary>The real time; counts the timers that were made.</summary>
    private sealed class StartedTimers : TimeProvider
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Interlocked.Increment(ref _count);
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private static async Task<RecipientResult> DeliverAsync(IDeliveryAgent agent, string address, string transport = "local") =>
        Assert.Single(await agent.DeliverAsync(
            DeliveryRig.Request(address, new MemoryContent("Subject: x\r\n\r\n"u8.ToArray()), transport: transport), TestContext.Current.CancellationToken));
}
