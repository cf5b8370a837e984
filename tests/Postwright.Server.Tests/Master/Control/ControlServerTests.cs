using System.Net;
using System.Net.Sockets;
using System.Text;
using Postwright.Core.Control;
using Postwright.Core.Posix;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Server.Master.Control;
using Postwright.Server.Queue;
using Postwright.Server.Receive.Pickup;
using Postwright.Testing.Logging;
using Postwright.Testing.Queue;

namespace Postwright.Server.Tests.Master.Control;

public sealed class ControlServerTests : IAsyncDisposable
{
    private const uint Nobody = 65534;

    private readonly string _root = Directory.CreateTempSubdirectory("postwright-control-").FullName;
    private readonly MemoryStore _store = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly LogLines _log = new();
    private Task _running = Task.CompletedTask;
    private int _woken;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        Assert.DoesNotContain(_log.All, static line => line.Contains("panic", StringComparison.Ordinal));
        _stop.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task A_message_is_listed_changed_and_read_back()
    {
        Start(peer: new PeerCredentials(1, 0, 0));
        string id = await QueueAsync("a b@c", "x@y", "z@y");
        using ControlClient client = Connect();

        client.Send(ControlProtocol.List);
        ListedMessage listed = Assert.Single(ListingRecords.Read(client.Reader).ToList())!;
        Assert.Equal((id, "a b@c", "x@y", 2), (listed.QueueId, listed.Sender, listed.Recipients[0].Address, listed.Recipients.Count));

        Assert.Equal(["", "1"], client.Ask(ControlProtocol.Change, "h", "incoming,active,deferred", id));
        Assert.Equal(["", "0"], client.Ask(ControlProtocol.Change, "h", "incoming,active,deferred", id));
        Assert.True(_store.TryGetEntry(id, out QueueEntry entry) && entry.Queue == QueueName.Hold);
        Assert.Equal(["", "0"], client.Ask(ControlProtocol.Change, "d", "deferred", "ALL"));

        Assert.Equal(["", ""], Get(client, id, out string image));
        Assert.StartsWith("C_", image, StringComparison.Ordinal);
        Assert.EndsWith("M\0N\nSubject: xN\0N\u0004bodyX\0E\0", image, StringComparison.Ordinal);
        Assert.Contains("S\u0005a b@cO\u0003x@yR\u0003x@yO\u0003z@yR\u0003z@y", image, StringComparison.Ordinal);
        Assert.Equal(["No such file or directory"], Get(client, "NOSUCH", out _));
        Assert.Equal(["", "1"], client.Ask(ControlProtocol.Change, "d", "maildrop,incoming,active,deferred,hold", "ALL"));
        Assert.Equal(0, _store.Count);
    }

    [Theory]
    [InlineData(Nobody, 7, true)]
    [InlineData(Nobody, 8, false)]
    public async Task The_set_gid_group_may_list_and_flush_and_others_nothing(uint uid, uint gid, bool mayList)
    {
        Start(peer: new PeerCredentials(1, uid, gid));
        string id = await QueueAsync("a@b", "x@y");
        using ControlClient client = Connect();
        IReadOnlyList<string> refused = ["permission denied"];
        Assert.Equal(mayList ? ["", ""] : refused, client.Ask(ControlProtocol.List));
        Assert.Equal(mayList ? ["", ""] : refused, client.Ask(ControlProtocol.Flush));
        Assert.Equal(refused, client.Ask(ControlProtocol.Change, "d", "incoming", id));
        Assert.Equal(refused, client.Ask(ControlProtocol.Get, id));
        Assert.Equal(1, _store.Count);
    }

    [Fact]
    public void A_peer_that_the_kernel_does_not_name_may_nothing()
    {
        Start(peer: null);
        using ControlClient client = Connect();
        Assert.Equal(["permission denied"], client.Ask(ControlProtocol.Status));
    }

    [Fact]
    public void The_kernel_names_the_peer_of_a_unix_domain_socket()
    {
        Start(peer: new PeerCredentials(0, Nobody, Nobody), real: true);
        using ControlClient client = Connect();
        Assert.Equal(["", Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture)], client.Ask(ControlProtocol.Status));
    }

    [Fact]
    public async Task Garbage_ends_the_connection_and_nothing_else()
    {
        Start(peer: new PeerCredentials(1, 0, 0));
        byte[][] inputs =
        [
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [ControlProtocol.List, 0xff, 0xff, 0xff, 0x7f], [ControlProtocol.Change, 1, 0], [ControlProtocol.Change, 4, (byte)'q', 0, 0, 0],
            [ControlProtocol.FlushMessage, 0], [0, 0], [ControlProtocol.Get, 3, (byte)'.', (byte)'.', 0],
        ];
        foreach (byte[] input in inputs)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_root, ControlProtocol.SocketName)), TestContext.Current.CancellationToken);
            await socket.SendAsync(input, TestContext.Current.CancellationToken);
            socket.Shutdown(SocketShutdown.Send);
            byte[] answer = new byte[1000];
            while (await socket.ReceiveAsync(answer, TestContext.Current.CancellationToken) > 0)
            {
                // An answer, or the end.
            }
        }

        using ControlClient client = Connect();
        Assert.Equal("", client.Ask(ControlProtocol.Status)[0]);
    }

    [Fact]
    public async Task Postdrop_wakes_pickup_by_connecting()
    {
        Start(peer: new PeerCredentials(1, Nobody, Nobody));
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_root, "public/pickup")), TestContext.Current.CancellationToken);
        for (int i = 0; i < 12_000 && Volatile.Read(ref _woken) == 0; i++)
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Assert.Equal(1, _woken);
    }

    private void Start(PeerCredentials? peer, bool real = false)
    {
        INetwork network = new SocketNetwork(TimeProvider.System);
        var options = new ControlOptions { QueueDirectory = _root, OwnerUid = real ? Environment.IsPrivilegedProcess ? 0 : Owner() : 1, SetGidGroup = 7 };
        _running = ControlServer.Create(
            options, real ? network : new NamedPeers(network, peer), new StoppedQueueControl(_store), _store, new MaildropDirectory(Path.Combine(_root, "maildrop"), _log.For("master")), () => Interlocked.Increment(ref _woken), _log.For("master"), TimeProvider.System)
            .RunAsync(_stop.Token);
        Assert.False(_running.IsFaulted);
    }

    private uint Owner()
    {
        PosixFile.TryStatus(_root, out FileStatus status);
        return status.Uid;
    }

    private ControlClient Connect()
    {
        Assert.Equal(ControlConnectStatus.Connected, ControlClient.TryConnect(_root, out ControlClient? client, out _));
        return client!;
    }

    private async Task<string> QueueAsync(string sender, params string[] recipients)
    {
        string id = _store.NewQueueId();
        var envelope = new Envelope
        {
            QueueId = id,
            Arrival = DateTimeOffset.UnixEpoch,
            Sender = sender,
            Recipients = [.. recipients.Select(static one => new EnvelopeRecipient(one, one))],
            Origin = MessageOrigin.Local,
        };
        Assert.Equal(StoreStatus.Stored, await _store.AppendAsync(envelope, new MemoryContent("Subject: x\r\n\r\nbody\r\n"u8.ToArray()), CancellationToken.None));
        return id;
    }

    private static IReadOnlyList<string> Get(ControlClient client, string id, out string image)
    {
        var bytes = new MemoryStream();
        client.Send(ControlProtocol.Get, id);
        while (client.Reader.Read() == RecordReadStatus.Record && client.Reader.Type != ControlProtocol.Answer)
        {
            bytes.Write(client.Reader.Type == ControlProtocol.Bytes ? client.Reader.Data.Span : []);
        }

        image = Encoding.Latin1.GetString(bytes.ToArray());
        return ControlProtocol.Decode(client.Reader.Data.Span);
    }

    /// <summary>The real network, whose peers are said to be somebody.</summary>
    private sealed class NamedPeers(INetwork network, PeerCredentials? peer) : INetwork
    {
        public ValueTask<IConnection> ConnectAsync(EndPoint remote, IPAddress? bindAddress, CancellationToken cancellationToken) =>
            network.ConnectAsync(remote, bindAddress, cancellationToken);

        public IListener Listen(EndPoint local) => new Listener(network.Listen(local), peer);

        private sealed class Listener(IListener listener, PeerCredentials? peer) : IListener
        {
            public EndPoint LocalEndPoint => listener.LocalEndPoint;

            public async ValueTask<IConnection> AcceptAsync(CancellationToken cancellationToken) => new Connection(await listener.AcceptAsync(cancellationToken), peer);

            public ValueTask DisposeAsync() => listener.DisposeAsync();
        }

        private sealed class Connection(IConnection connection, PeerCredentials? peer) : IConnection, IPeerCredentials
        {
            public EndPoint RemoteEndPoint => connection.RemoteEndPoint;

            public EndPoint LocalEndPoint => connection.LocalEndPoint;

            public PeerCredentials? Peer => peer;

            public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => connection.ReceiveAsync(buffer, cancellationToken);

            public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => connection.SendAsync(bytes, cancellationToken);

            public void Abort() => connection.Abort();

            public ValueTask DisposeAsync() => connection.DisposeAsync();
        }
    }
}
