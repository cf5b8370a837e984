using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postwright.Testing.Network;

/// <summary>A mail server on a real loopback socket that takes every message and keeps it.</summary>
public sealed class MailSink : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<string> _messages = [];
    private readonly List<Task> _sessions = [];
    private readonly Task _serving;

    /// <summary>Listens on a port of the kernel's choice.</summary>
    public MailSink()
    {
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _serving = ServeAsync();
    }

    /// <summary>Where it listens.</summary>
    public int Port { get; }

    /// <summary>What was taken so far: content without the final dot, dots unstuffed.</summary>
    public IReadOnlyList<string> Messages
    {
        get
        {
            lock (_gate)
            {
                return [.. _messages];
            }
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        Task[] sessions;
        lock (_gate)
        {
            sessions = [.. _sessions];
        }

        await Task.WhenAll(sessions);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                lock (_gate)
                {
                    _sessions.Add(SessionAsync(client));
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task SessionAsync(TcpClient client)
    {
        using TcpClient owned = client;
        using StreamReader reader = new(client.GetStream(), Encoding.UTF8);
        try
        {
            await SayAsync("220 sink.test ESMTP");
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                string verb = line.Length < 4 ? line : line[..4].ToUpperInvariant();
                if (verb == "DATA")
                {
                    await SayAsync("354 go on");
                    await TakeAsync();
                }

                await SayAsync(verb switch
                {
                    "EHLO" => "250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8",
                    "QUIT" => "221 2.0.0 bye",
                    _ => "250 2.0.0 Ok",
                });
                if (verb == "QUIT")
                {
                    return;
                }
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // The client left, or the test is over.
        }

        async Task SayAsync(string text) => await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text + "\r\n"), _stop.Token);

        async Task TakeAsync()
        {
            StringBuilder content = new();
            while (await reader.ReadLineAsync(_stop.Token) is { } line && line != ".")
            {
                content.Append(line.StartsWith('.') ? line[1..] : line).Append('\n');
            }

            lock (_gate)
            {
                _messages.Add(content.ToString());
            }
        }
    }
}
