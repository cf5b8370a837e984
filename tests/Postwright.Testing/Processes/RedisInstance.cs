using System.Net;
using System.Net.Sockets;
using System.Text;
using Postwright.Testing.Network;

namespace Postwright.Testing.Processes;

/// <summary>A Redis server of a test with the password <c>secret</c>, on free ports of 127.0.0.1 and on a unix-domain socket; it keeps nothing when it stops.</summary>
public sealed class RedisInstance : IAsyncDisposable
{
    private const string Program = "/usr/bin/redis-server";

    private RedisInstance(RealServer server, int port, int tlsPort)
    {
        Server = server;
        Port = port;
        TlsPort = tlsPort;
    }

    /// <summary>True where Redis is installed.</summary>
    public static bool IsInstalled { get; } = File.Exists(Program);

    /// <summary>The process.</summary>
    public RealServer Server { get; }

    /// <summary>The port for clear text.</summary>
    public int Port { get; }

    /// <summary>The port for TLS.</summary>
    public int TlsPort { get; }

    /// <summary>Makes a server and leaves it down.</summary>
    public static async Task<RedisInstance> MakeAsync()
    {
        int port = FreePort.Next();
        int tlsPort = FreePort.Next();
        string folder = await RealServer.MakeFolderAsync("redis");
        TestCertificate.Write(folder);
        await RealServer.RunAsAsync("redis", "/bin/sh", ["-c", $"umask 077; cat >{folder}/own.key"], await File.ReadAllTextAsync(Path.Combine(folder, "server.key")));
        return new RedisInstance(
            new RealServer(
                folder, "redis", Program,
                ["--bind", "127.0.0.1", "--port", $"{port}", "--tls-port", $"{tlsPort}", "--tls-cert-file", $"{folder}/server.pem", "--tls-key-file", $"{folder}/own.key",
                    "--tls-ca-cert-file", $"{folder}/ca.pem", "--tls-auth-clients", "no", "--unixsocket", $"{folder}/sock", "--dir", folder, "--save", "", "--requirepass", "secret"],
                async () => await TellAsync(port, "PING") is ['+', ..]),
            port,
            tlsPort);
    }

    /// <summary>Sends commands; the last reply's line, or "" when nobody listens.</summary>
    /// <param name="commands">Parted by CRLF.</param>
    /// <param name="replies">How many replies they have.</param>
    public Task<string> TellAsync(string commands, int replies = 1) => TellAsync(Port, commands, replies);

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Server.DisposeAsync();

    private static async Task<string> TellAsync(int port, string commands, int replies = 1)
    {
        try
        {
            using TcpClient client = new();
            await client.ConnectAsync(IPAddress.Loopback, port);
            await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes($"AUTH secret\r\n{commands}\r\n"));
            using StreamReader reader = new(client.GetStream());
            string? line = "";
            for (int i = 0; i <= replies; i++)
            {
                line = await reader.ReadLineAsync();
            }

            return line ?? "";
        }
        catch (SocketException)
        {
            return "";
        }
    }
}
