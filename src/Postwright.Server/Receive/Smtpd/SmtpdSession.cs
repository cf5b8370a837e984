using System.Net;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Protocol.Smtp;
using Postwright.Server.Receive.Smtpd.Restrictions;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// One SMTP session (RFC 5321), from the banner to the disconnect line. Commands are handled in order, replies to pipelined ones
/// leave together. Never throws to its caller: a lost peer, a time-out and shutdown are ends like QUIT, each with its own log
/// line. The files of this class are: this one (the loop), Commands, Hello, Envelope, Content, Chunks, Xclient, Log.
/// </summary>
internal sealed partial class SmtpdSession : IDisposable
{
    // How long the last reply of a session that timed out may take on its way.
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(10);

    private readonly IConnection _connection;
    private readonly SmtpdService _service;
    private readonly SmtpdServer _server;
    private readonly SmtpdOptions _options;
    private readonly MailLog _log;
    private readonly TimeProvider _time;
    private readonly SessionInput _input;
    private readonly ReplyBuffer _replies;
    private readonly CommandTokens _words = new();
    private readonly CancellationTokenSource _end = new();
    private readonly int[] _succeeded = new int[SmtpVerbs.Count];
    private readonly int[] _attempted = new int[SmtpVerbs.Count];
    private CheckState _state = null!;
    private SmtpdClient _peer = null!;
    private int _errors;
    private int _junkCommands;
    private bool _xclientAllowed;
    private bool _countsClient;
    private bool _allowsBareNewline;
    private bool _sawBareNewline;
    private bool _isOver;
    private string? _accessDenied;
    private string? _reason;
    private long _deadline;
    private long _requestDeadline;
    private volatile bool _stopRequested;
    private volatile bool _waitsForCommand;
    private volatile bool _timedOut;

    public SmtpdSession(IConnection connection, SmtpdService service, SmtpdServer server, int number)
    {
        _connection = connection;
        _service = service;
        _server = server;
        _options = service.Options;
        _time = service.Parts.Time;
        _log = service.Parts.Log.For("smtpd", number);
        _input = new SessionInput(connection);
        _replies = new ReplyBuffer(connection);
    }

    private CancellationToken Token => _end.Token;

    /// <summary>Talks until the session is over.</summary>
    public async Task RunAsync()
    {
        IPEndPoint peer = _connection.RemoteEndPoint as IPEndPoint ?? new IPEndPoint(IPAddress.Loopback, 0);
        try
        {
            Arm();
            _peer = await ClientNameLookup.FindAsync(peer, _options, _service.Parts.Dns, _log, Token);
            _state = new CheckState(_log) { Client = _peer };
            _log.Info($"connect from {_peer.NameAndAddress}");
            await TalkAsync();
        }
        catch (IOException)
        {
            _reason ??= _timedOut ? "timeout" : "lost connection";
        }
        catch (OperationCanceledException)
        {
            await SayLastWordsAsync();
        }
        finally
        {
            if (_state is not null)
            {
                LogEnd();
            }
        }
    }

    /// <summary>Called by the heartbeat: ends a session that waits too long, and cuts it off if even that takes too long.</summary>
    public void CheckDeadline(long now)
    {
        long deadline = Volatile.Read(ref _deadline);
        if (deadline == 0 || now < deadline)
        {
            return;
        }

        if (_timedOut || _stopRequested)
        {
            Cut();
            return;
        }

        _timedOut = true;
        Volatile.Write(ref _deadline, now + Ticks(LastWords));
        Cancel();
    }

    /// <summary>Shutdown: the session ends at its next command.</summary>
    public void Stop()
    {
        _stopRequested = true;
        if (_waitsForCommand)
        {
            Cancel();
        }
    }

    /// <summary>Ends the session at once, also where it waits for an answer from elsewhere.</summary>
    public void Cut()
    {
        try
        {
            _connection.Abort();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself in the meantime.
        }

        Cancel();
    }

    // Called from outside of the session, which may end at that moment.
    private void Cancel()
    {
        try
        {
            _end.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself in the meantime.
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        EndTransaction();
        _input.Dispose();
        _replies.Dispose();
        _end.Dispose();
    }

    private async Task TalkAsync()
    {
        await LearnAboutClientAsync();
        if (!await GreetAsync())
        {
            await _replies.FlushAsync(Token);
            return;
        }

        while (!_isOver)
        {
            if (_errors >= _options.HardErrorLimit)
            {
                _reason = "too many errors";
                await ReplyAsync($"421 4.7.0 {_options.MyHostName} Error: too many errors");
                break;
            }

            ReadOnlyMemory<byte> line;
            bool bareNewline;
            while (!_input.TryTakeLine(_options.LineLengthLimit, out line, out bareNewline))
            {
                if (!await WaitForCommandAsync())
                {
                    _reason = "lost connection";
                    return;
                }
            }

            if (bareNewline && !_allowsBareNewline && await RefuseBareNewlineAsync())
            {
                break;
            }

            await HandleAsync(line);
            if (_replies.IsLarge)
            {
                await SendAsync();
            }
        }

        await SendAsync();
    }

    private async ValueTask<bool> WaitForCommandAsync()
    {
        await SendAsync();
        _input.Shrink();
        _requestDeadline = _time.GetTimestamp() + Ticks(_options.Timeout);
        _waitsForCommand = true;
        if (_stopRequested)
        {
            _end.Cancel();
        }

        bool received = await ReceiveAsync();
        _waitsForCommand = false;
        return received;
    }

    private ValueTask<bool> ReceiveAsync()
    {
        Arm();
        return _input.ReceiveAsync(Token);
    }

    private ValueTask SendAsync()
    {
        if (_replies.IsEmpty)
        {
            return ValueTask.CompletedTask;
        }

        Arm();
        return _replies.FlushAsync(Token);
    }

    private async ValueTask SayLastWordsAsync()
    {
        string? words = _timedOut ? $"421 4.4.2 {_options.MyHostName} Error: timeout exceeded"
            : _stopRequested ? $"421 4.3.2 {_options.MyHostName} Service shutting down" : null;
        _reason = _timedOut ? "timeout" : null;
        if (words is null)
        {
            return;
        }

        try
        {
            Volatile.Write(ref _deadline, _time.GetTimestamp() + Ticks(LastWords));
            _replies.Add(words);
            await _replies.FlushAsync(CancellationToken.None);
        }
        catch (IOException)
        {
            // The peer is gone; there is nobody to tell.
        }
    }

    private async ValueTask ReplyAsync(string text)
    {
        if (_errors >= _options.SoftErrorLimit && _options.ErrorSleepTime > TimeSpan.Zero)
        {
            await SendAsync();
            Volatile.Write(ref _deadline, 0);
            await Task.Delay(_options.ErrorSleepTime, _time, Token);
        }

        _replies.Add(_options.SoftBounce && text.StartsWith('5') ? Soften(text) : text);
    }

    private async ValueTask<bool> DoneAsync(string text)
    {
        await ReplyAsync(text);
        return true;
    }

    private async ValueTask<bool> FailAsync(string text)
    {
        await ReplyAsync(text);
        return false;
    }

    private async ValueTask<bool> RefuseAsync(string reply)
    {
        _isOver |= _state.HangUp;
        await ReplyAsync(reply);
        return false;
    }

    private static string Soften(string text) =>
        EnhancedStatus.LengthAt(text.AsSpan(Math.Min(4, text.Length))) > 0 ? $"4{text[1..4]}4{text[5..]}" : $"4{text[1..]}";

    private void Arm()
    {
        long now = _time.GetTimestamp();
        long deadline = now + Ticks(_options.Timeout);
        Volatile.Write(ref _deadline, _options.PerRequestDeadline && _requestDeadline != 0 ? Math.Min(deadline, _requestDeadline) : deadline);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);
}
