using System.Net;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Core.Tests.Posix;

public sealed class SocketNetworkTests
{
    private readonly SocketNetwork _network = new(TimeProvider.System);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bytes_arrive_and_the_end_is_seen()
    {
        await using IListener listener = _network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await _network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        await client.SendAsync("hello"u8.ToArray(), Token);
        await client.DisposeAsync();
        Assert.Equal("hello", await ReadToEndAsync(server));
    }

    [Fact]
    public async Task A_close_with_unread_input_does_not_destroy_the_last_reply()
    {
        await using IListener listener = _network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await _network.ConnectAsync(listener.LocalEndPoint, null, Token);
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
        await using IListener listener = _network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await _network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        Task<int> pending = server.ReceiveAsync(new byte[1], Token).AsTask();
        server.Abort();
        await Assert.ThrowsAsync<IOException>(() => pending);
    }

    [Fact]
    public async Task A_cancelled_receive_leaves_the_connection_usable()
    {
        await using IListener listener = _network.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        await using IConnection client = await _network.ConnectAsync(listener.LocalEndPoint, null, Token);
        await using IConnection server = await listener.AcceptAsync(Token);

        using CancellationTokenSource cancel = new();
        Task<int> pending = server.ReceiveAsync(new byte[1], cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
        await client.SendAsync("x"u8.ToArray(), Token);
        Assert.Equal(1, await server.ReceiveAsync(new byte[1], Token));
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
