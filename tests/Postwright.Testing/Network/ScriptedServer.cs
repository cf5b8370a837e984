using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postwright.Testing.Network;

/// <summary>
/// A mail server on a real loopback socket that does what a script says, a session each. A script's lines are sent as they
/// stand; <c>?VERB</c> waits for a line that begins with VERB, <c>?.</c> for a line with a dot alone, <c>!</c> drops the
/// connection, <c>~</c> says nothing more until the client leaves, <c>&amp;</c> waits for <see cref="GoOn"/>. What clients sent is kept.
/// </summary>
public sealed class ScriptedServer : IAsyncDisposable
{
    /// <summary>EHLO with everything, one message, QUIT.</summary>
    public const string OneMessage = """
        220 mx.example ESMTP
        ?EHLO
        250-mx.example
        250-PIPELINING
        250-SIZE 10240000
        250-DSN
        250 8BITMIME
        ?MAIL
        250 2.1.0 Ok
        ?RCPT
        250 2.1.5 Ok
        ?DATA
        354 End data with <CR><LF>.<CR><LF>
        ?.
        250 2.0.0 Ok: queued as TEST
        ~
        """;

    private readonly TcpListener _listener;
    private readonly Queue<string> _scripts;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _received = [];

    /// <summary>Starts; the n-th session follows the n-th script, later ones are closed at once.</summary>
    public ScriptedServer(params string[] scripts)
        : this(IPAddress.Loopback, 0, scripts)
    {
    }

    public ScriptedServer(IPAddress address, int port, params string[] scripts)
    {
        _scripts = new Queue<string>(scripts);
        _listener = new TcpListener(address, port);
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _serving = ServeAsync();
    }

    /// <summary>Where it listens.</summary>
    public int Port { get; }

    /// <summary>Every line that came, without CRLF, sessions one after the other.</summary>
    public IReadOnlyList<string> Received
    {
        get
        {
            lock (_lock)
            {
                return [.. _received];
            }
        }
    }

    /// <summary>Lets scripts go on behind their <c>&amp;</c>.</summary>
    public void GoOn() => _goOn.TrySetResult();

    /// <summary>Sessions so far.</summary>
    public int Sessions { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        List<Task> sessions = [];
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                Sessions++;
                sessions.Add(_scripts.TryDequeue(out string? script) ? RunAsync(client, script) : Task.Run(client.Dispose));
            }
        }
        catch (OperationCanceledException)
        {
        }

        await Task.WhenAll(sessions);
    }

    private async Task RunAsync(TcpClient client, string script)
    {
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                using StreamReader reader = new(stream, Encoding.Latin1);
                foreach (string line in script.ReplaceLineEndings("\n").Split('\n'))
                {
                    if (line is "!" or "~")
                    {
                        while (line == "~" && await ReadAsync(reader) is not null)
                        {
                        }

                        return;
                    }

                    if (line == "&")
                    {
                        await _goOn.Task.WaitAsync(_stop.Token);
                    }
                    else if (line.StartsWith('?'))
                    {
                        while (await ReadAsync(reader) is { } received && !(line == "?." ? received == "." : received.StartsWith(line[1..], StringComparison.Ordinal)))
                        {
                        }
                    }
                    else
                    {
                        await stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\r\n"), _stop.Token);
                    }
                }
            }
            catch (Exception end) when (end is IOException or SocketException or OperationCanceledException)
            {
            }
        }
    }

    private async Task<string?> ReadAsync(StreamReader reader)
    {
        string? line = await reader.ReadLineAsync(_stop.Token);
        if (line is not null)
        {
            lock (_lock)
            {
                _received.Add(line);
            }
        }

        return line;
    }
}
