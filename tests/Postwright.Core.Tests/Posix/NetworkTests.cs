using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Posix;

/// <summary>What a network promises, over the real sockets of .NET.</summary>
public sealed class SocketNetworkTests : NetworkTests
{
    private protected override INetwork Network { get; } = new SocketNetwork(TimeProvider.System);
}

/// <summary>The same, and what else an event loop promises.</summary>
public sealed class EventLoopNetworkTests : NetworkTests
{
    private static readonly EventLoopNetwork Loops = new(TimeProvider.System, bug => throw new InvalidOperationException("a bug reached the loop", bug), 2);

    private protected override INetwork Network => Loops;

    [Fact]
    public async Task What_awaited_a_receive_goes_on_in_the_connections_own_loop()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        string? before = null;
        string? after = null;
        TaskCompletionSource<Task> begun = new();
        server.Context!.Post(_ => begun.SetResult(TalkAsync()), null);
        await await begun.Task;
        Assert.Equal("loop", before);
        Assert.Equal("loop", after);

        async Task TalkAsync()
        {
            Task later = SendLaterAsync(client);
            Assert.Equal(1, await server.ReceiveAsync(new byte[1], Token));
            before = Thread.CurrentThread.Name;
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Token);
            after = Thread.CurrentThread.Name;
            await later;
        }
    }

    [Fact]
    public async Task A_listener_whose_socket_lives_on_elsewhere_is_heard_of_no_more_once_it_is_closed()
    {
        // As master does: the same socket under another descriptor.
        using Socket original = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        original.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        original.Listen(10);
        for (int i = 0; i < 20; i++)
        {
            IListener listener = Loops.Adopt(Duplicate((int)original.Handle));
            using CancellationTokenSource cancel = new();
            Task<IConnection> pending = listener.AcceptAsync(cancel.Token).AsTask();
            cancel.Cancel();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
            await listener.DisposeAsync();
            GC.Collect();

            // Something happens to the socket: a loop that still watched it would look at what is freed.
            using Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(original.LocalEndPoint!, Token);
            using Socket server = await original.AcceptAsync(Token);
            await Bytes_arrive_and_the_end_is_seen("127.0.0.1");
        }
    }

    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "dup")]
    private static extern int Duplicate(int descriptor);

    [Fact]
    public async Task A_client_that_never_stops_sending_does_not_keep_its_loop_from_others()
    {
        // One loop for both connections.
        EventLoopNetwork one = new(TimeProvider.System, bug => throw new InvalidOperationException("a bug reached the loop", bug), 1);
        await using IListener listener = one.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        using Socket loud = new(SocketType.Stream, ProtocolType.Tcp);
        await loud.ConnectAsync(listener.LocalEndPoint, Token);
        await using IConnection loudServer = await listener.AcceptAsync(Token);
        await using IConnection client = await one.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Thread sender = new(() =>
        {
            byte[] block = new byte[1 << 20];
            try
            {
                while (!enough.IsCancellationRequested)
                {
                    loud.Send(block);
                }
            }
            catch (SocketException)
            {
                // The other end had enough.
            }
        });
        sender.Start();
        Task<long> received = ReceiveForEverAsync(loudServer, enough.Token);
        for (int i = 0; i < 50; i++)
        {
            await client.SendAsync("x"u8.ToArray(), Token);
            Assert.Equal(1, await server.ReceiveAsync(new byte[1], Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token));
        }

        await enough.CancelAsync();
        Assert.True(await received > 0);
        loudServer.Abort();
        loud.Close();
        sender.Join();
    }

    private static async Task SendLaterAsync(IConnection connection)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Token);
        await connection.SendAsync("x"u8.ToArray(), Token);
    }

    private static async Task<long> ReceiveForEverAsync(IConnection connection, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[4096];
        long total = 0;
        try
        {
            while (await connection.ReceiveAsync(buffer, cancellationToken) is var count and > 0)
            {
                total += count;
            }
        }
        catch (OperationCanceledException)
        {
            // Enough.
        }

        return total;
    }
}

/// <summary>The contract of <see cref="INetwork"/>.</summary>
public abstract class NetworkTests
{
    private protected abstract INetwork Network { get; }

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Bytes_arrive_and_the_end_is_seen(string address)
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Parse(address), 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        Assert.Equal(client.LocalEndPoint, server.RemoteEndPoint);
        Assert.Equal(client.RemoteEndPoint, server.LocalEndPoint);
        await client.SendAsync("hello"u8.ToArray(), Token);
        await client.DisposeAsync();
        Assert.Equal("hello", await ReadToEndAsync(server));
    }

    [Fact]
    public async Task More_than_the_kernel_holds_arrives_whole_in_both_directions_at_once()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        byte[] up = new byte[20_000_000];
        byte[] down = new byte[15_000_000];
        new Random(1).NextBytes(up);
        new Random(2).NextBytes(down);
        Task<byte[]> atServer = HashAsync(server, up.Length);
        Task<byte[]> atClient = HashAsync(client, down.Length);
        await Task.WhenAll(client.SendAsync(up, Token).AsTask(), server.SendAsync(down, Token).AsTask());
        Assert.Equal(SHA256.HashData(up), await atServer);
        Assert.Equal(SHA256.HashData(down), await atClient);
    }

    [Fact]
    public async Task Many_connections_are_served_at_once()
    {
        const int Count = 200;
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        Task serving = Task.Run(
            async () =>
            {
                for (int i = 0; i < Count; i++)
                {
                    _ = EchoAsync(await listener.AcceptAsync(Token));
                }
            },
            Token);
        await Task.WhenAll(Enumerable.Range(0, Count).Select(async i =>
        {
            await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
            for (int round = 0; round < 20; round++)
            {
                byte[] sent = Encoding.ASCII.GetBytes($"client {i} round {round}\n");
                await client.SendAsync(sent, Token);
                byte[] answer = new byte[sent.Length];
                for (int got = 0; got < answer.Length;)
                {
                    int count = await client.ReceiveAsync(answer.AsMemory(got), Token);
                    Assert.NotEqual(0, count);
                    got += count;
                }

                Assert.Equal(sent, answer);
            }
        }));
        await serving;
    }

    [Fact]
    public async Task Nobody_at_the_other_end_is_a_refused_connection()
    {
        IPEndPoint nobody = new(IPAddress.Loopback, FreePort.Next());
        SocketException failure = await Assert.ThrowsAsync<SocketException>(async () => await Network.ConnectAsync(nobody, null, Token));
        Assert.Equal(SocketError.ConnectionRefused, failure.SocketErrorCode);
    }

    [Fact]
    public async Task A_connection_comes_from_the_address_that_it_was_bound_to()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, IPAddress.Parse("127.0.0.9"), Token);
        await using IConnection server = await listener.AcceptAsync(Token);
        Assert.Equal("127.0.0.9", ((IPEndPoint)server.RemoteEndPoint).Address.ToString());
    }

    [Fact]
    public async Task An_accept_that_is_cancelled_ends()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        using CancellationTokenSource cancel = new();
        Task<IConnection> pending = listener.AcceptAsync(cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
    }

    [Fact]
    public async Task A_reset_is_an_IOException_for_who_receives()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        using Socket client = new(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        Task<int> pending = server.ReceiveAsync(new byte[1], Token).AsTask();
        client.LingerState = new LingerOption(true, 0);
        client.Close();
        await Assert.ThrowsAsync<IOException>(() => pending);
    }

    [Fact]
    public async Task A_close_with_unread_input_does_not_destroy_the_last_reply()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        IConnection server = await listener.AcceptAsync(Token);

        await client.SendAsync(new byte[200_000], Token);
        await server.SendAsync("421 goodbye\r\n"u8.ToArray(), Token);
        ValueTask closing = server.DisposeAsync();
        Assert.Equal("421 goodbye\r\n", await ReadToEndAsync(client));
        await client.DisposeAsync();
        await closing;
    }

    [Fact]
    public async Task A_pending_receive_ends_when_the_connection_is_dropped()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        Task<int> pending = server.ReceiveAsync(new byte[1], Token).AsTask();
        server.Abort();
        await Assert.ThrowsAsync<IOException>(() => pending);
    }

    [Fact]
    public async Task A_cancelled_receive_leaves_the_connection_usable()
    {
        await using IListener listener = Network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await Network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        for (int i = 0; i < 100; i++)
        {
            // The bytes come about when the cancellation does: they must not be lost with it.
            using CancellationTokenSource cancel = new();
            byte[] buffer = new byte[1];
            Task<int> pending = server.ReceiveAsync(buffer, cancel.Token).AsTask();
            Task cancelling = i % 2 == 0 ? cancel.CancelAsync() : Task.Run(cancel.Cancel, Token);
            await client.SendAsync(new[] { (byte)i }, Token);
            await cancelling;
            try
            {
                Assert.Equal(1, await pending);
            }
            catch (OperationCanceledException)
            {
                Assert.Equal(1, await server.ReceiveAsync(buffer, Token));
            }

            Assert.Equal((byte)i, buffer[0]);
        }
    }

    private static async Task EchoAsync(IConnection connection)
    {
        await using (connection)
        {
            byte[] buffer = new byte[1024];
            while (await connection.ReceiveAsync(buffer, Token) is var count and > 0)
            {
                await connection.SendAsync(buffer.AsMemory(0, count), Token);
            }
        }
    }

    private static async Task<byte[]> HashAsync(IConnection connection, int length)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[65536];
        while (length > 0)
        {
            int count = await connection.ReceiveAsync(buffer, Token);
            Assert.NotEqual(0, count);
            hash.AppendData(buffer, 0, count);
            length -= count;
        }

        return hash.GetHashAndReset();
    }

    private static async Task<string> ReadToEndAsync(IConnection connection)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(2));
        StringBuilder text = new();
        byte[] buffer = new byte[1024];
        while (await connection.ReceiveAsync(buffer, limit.Token) is var count and > 0)
        {
            text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }

        return text.ToString();
    }
}
