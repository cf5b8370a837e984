using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postwright.Testing.Network;

/// <summary>A plain SMTP client on a real socket, for tests that look at replies. Every wait is bounded by two minutes.</summary>
public sealed class SmtpTestClient : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly TcpClient _client;
    private readonly StreamReader _reader;

    private SmtpTestClient(TcpClient client)
    {
        _client = client;
        _reader = new StreamReader(client.GetStream(), Encoding.Latin1);
    }

    /// <summary>What the server said first.</summary>
    public string Greeting { get; private set; } = "";

    /// <summary>The bytes' way, for tests that send half a line.</summary>
    public Stream Stream => _client.GetStream();

    /// <summary>Connects and takes the greeting.</summary>
    public static async Task<SmtpTestClient> ConnectAsync(int port)
    {
        TcpClient client = new();
        using CancellationTokenSource limit = new(Limit);
        await client.ConnectAsync(IPAddress.Loopback, port, limit.Token);
        SmtpTestClient session = new(client);
        session.Greeting = await session.ReadAsync();
        return session;
    }

    /// <summary>Sends a line (or several) and reads one reply.</summary>
    public async Task<string> AskAsync(string line)
    {
        await SendAsync(line + "\r\n");
        return await ReadAsync();
    }

    /// <summary>Sends text as it stands.</summary>
    public async Task SendAsync(string text)
    {
        using CancellationTokenSource limit = new(Limit);
        await _client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text), limit.Token);
    }

    /// <summary>Reads one reply, its lines joined by line feeds; "" if the server closed.</summary>
    public async Task<string> ReadAsync()
    {
        using CancellationTokenSource limit = new(Limit);
        StringBuilder reply = new();
        while (await _reader.ReadLineAsync(limit.Token) is { } line)
        {
            if (reply.Length > 0)
            {
                reply.Append('\n');
            }

            reply.Append(line);
            if (line.Length < 4 || line[3] != '-')
            {
                break;
            }
        }

        return reply.ToString();
    }

    /// <summary>Sends one message after EHLO or a former message; the reply to the final dot, or the first refusal.</summary>
    public async Task<string> MailAsync(string from, string to, string content)
    {
        foreach (string command in (string[])[$"MAIL FROM:<{from}>", $"RCPT TO:<{to}>", "DATA"])
        {
            string reply = await AskAsync(command);
            if (reply.Length == 0 || reply[0] is '4' or '5')
            {
                await AskAsync("RSET");
                return reply;
            }
        }

        return await AskAsync(content.ReplaceLineEndings("\r\n").TrimEnd('\r', '\n') + "\r\n.");
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync()
    {
        _reader.Dispose();
        _client.Dispose();
        return ValueTask.CompletedTask;
    }
}
