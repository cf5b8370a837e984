using System.Net;
using System.Net.Sockets;

namespace Postwright.Testing.Network;

/// <summary>Whether somebody is at a port of 127.0.0.1, for tests that wait for it.</summary>
public static class LoopbackPort
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>True if connections are taken, by the kernel at least.</summary>
    public static async Task<bool> IsOpenAsync(int port)
    {
        using TcpClient? client = await ConnectAsync(port);
        return client is not null;
    }

    /// <summary>True if a connection is served: the server, which speaks first, has said something.</summary>
    public static async Task<bool> GreetsAsync(int port)
    {
        using TcpClient? client = await ConnectAsync(port);
        if (client is null)
        {
            return false;
        }

        using CancellationTokenSource limit = new(Limit);
        try
        {
            return await client.GetStream().ReadAsync(new byte[1], limit.Token) == 1;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task<TcpClient?> ConnectAsync(int port)
    {
        TcpClient client = new();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port);
            return client;
        }
        catch (SocketException)
        {
            client.Dispose();
            return null;
        }
    }
}
