using System.Net;
using System.Text;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Protocol.Smtp;
using Postwright.Server.Receive.Smtpd.Restrictions;

namespace Postwright.Server.Receive.Smtpd;

/// <summary>
/// One SMTP session (RFC 5321), from the banner to the disconnect line. Commands are handled in order, replies to pipelined ones
/// leave together. Never throws to its caller: a lost peer, a time-out and shutdown are ends like QUIT, each with its own log
/// line. The files of this class are: this one (the loop), Hello, Envelope, Content, Chunks, Xclient.
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
        _end.Cancel();
    }

    /// <summary>Shutdown: the session ends at its next command.</summary>
    public void Stop()
    {
        _stopRequested = true;
        if (_waitsForCommand)
        {
            _end.Cancel();
        }
    }

    /// <summary>Ends the session at once.</summary>
    public void Cut() => _connection.Abort();

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

    private async Task HandleAsync(ReadOnlyMemory<byte> line)
    {
        if (_options.SmtpUtf8Enabled && !System.Text.Unicode.Utf8.IsValid(line.Span))
        {
            _errors++;
            await ReplyAsync("500 5.5.2 Error: bad UTF-8 syntax");
            return;
        }

        _words.Parse(line.Span);
        if (_words.Count == 0)
        {
            _errors++;
            await ReplyAsync("500 5.5.2 Error: bad syntax");
            return;
        }

        if (_options.NoopCommands.Count > 0 && _options.NoopCommands.Contains(SmtpPath.Decode(_words.Slice(line.Span, 0)).ToUpperInvariant()))
        {
            await ReplyAsync("250 2.0.0 Ok");
            CountJunk();
            return;
        }

        SmtpVerb verb = SmtpVerbs.Parse(_words.Slice(line.Span, 0));
        _attempted[(int)verb]++;
        if (verb == SmtpVerb.Unknown)
        {
            _state.Where = "UNKNOWN";
            if (await IsForbiddenAsync(line))
            {
                _log.Warning($"non-SMTP command from {_state.Client.NameAndAddress}: {Shorten(SmtpPath.Decode(line.Span), 100)}");
                _isOver = true;
                await ReplyAsync("221 2.7.0 Error: I can break rules, too. Goodbye.");
                return;
            }
        }

        if (_accessDenied is not null && verb != SmtpVerb.Quit)
        {
            _errors++;
            await ReplyAsync($"503 5.7.0 Error: access denied for {_state.Client.NameAndAddress}");
            return;
        }

        if (verb == SmtpVerb.Unknown)
        {
            _errors++;
            await ReplyAsync("500 5.5.2 Error: command not recognized");
            return;
        }

        _state.Where = SmtpVerbs.Name(verb);
        if (!_input.Pending.IsEmpty && MayNotBeFollowed(verb) && await RefusePipeliningAsync(verb))
        {
            return;
        }

        if (await RunAsync(verb, line))
        {
            _succeeded[(int)verb]++;
        }
        else
        {
            _errors++;
        }

        if (IsJunk(verb))
        {
            CountJunk();
        }
    }

    private ValueTask<bool> RunAsync(SmtpVerb verb, ReadOnlyMemory<byte> line) => verb switch
    {
        SmtpVerb.Mail => MailAsync(line),
        SmtpVerb.Rcpt => RcptAsync(line),
        SmtpVerb.Data => DataAsync(),
        SmtpVerb.Bdat => BdatAsync(line),
        SmtpVerb.Ehlo => HelloAsync(line, isExtended: true),
        SmtpVerb.Helo => HelloAsync(line, isExtended: false),
        SmtpVerb.Quit => QuitAsync(),
        SmtpVerb.Rset => RsetAsync(),
        SmtpVerb.Noop => DoneAsync("250 2.0.0 Ok"),
        SmtpVerb.Vrfy => VrfyAsync(line),
        SmtpVerb.Etrn => EtrnAsync(line),
        SmtpVerb.Xclient => XclientAsync(line),
        SmtpVerb.Help => DoneAsync("214 2.0.0 https://www.postfix.org/"),
        SmtpVerb.Auth => AuthAsync(),
        SmtpVerb.StartTls => FailAsync(_words.Count != 1 ? "501 5.5.4 Syntax: STARTTLS" : "502 5.5.1 Error: command not implemented"),
        _ => FailAsync("550 5.7.0 Error: insufficient authorization"),
    };

    // RFC 2920, 3.1 in Postfix's reading; and nothing may be pipelined before EHLO said that it may.
    private bool MayNotBeFollowed(SmtpVerb verb) =>
        _state.Protocol != "ESMTP" || verb is SmtpVerb.Helo or SmtpVerb.Ehlo or SmtpVerb.Data or SmtpVerb.Vrfy or SmtpVerb.Noop;

    private async ValueTask<bool> RefusePipeliningAsync(SmtpVerb verb)
    {
        if (!_state.PipelinesWrongly)
        {
            ReadOnlySpan<byte> pending = _input.Pending.Span;
            _log.Info($"improper command pipelining after {SmtpVerbs.Name(verb)} from {_state.Client.NameAndAddress}: {Escape(pending[..Math.Min(100, pending.Length)])}");
            _state.PipelinesWrongly = true;
        }

        if (!_options.ForbidUnauthPipelining)
        {
            return false;
        }

        _isOver = true;
        await ReplyAsync("554 5.5.0 Error: SMTP protocol synchronization");
        return true;
    }

    private async ValueTask<bool> RefuseBareNewlineAsync()
    {
        _sawBareNewline = true;
        if (_options.BareNewline != BareNewline.Reject)
        {
            return false;
        }

        _state.LogEvent("reject", "bare <LF> received");
        await ReplyAsync($"{_options.BareNewlineRejectCode} 5.5.2 {_options.MyHostName} Error: bare <LF> received");
        return true;
    }

    // A header, or a word that smtpd_forbidden_commands names. A list that cannot be asked forbids nothing: not a safety matter.
    private async ValueTask<bool> IsForbiddenAsync(ReadOnlyMemory<byte> line)
    {
        ReadOnlySpan<byte> word = _words.Slice(line.Span, 0);
        return Protocol.Mail.HeaderLine.NameLength(word, out _) > 0
            || await _service.ForbiddenCommands.MatchAsync(SmtpPath.Decode(word), Token) == MatchResult.Match;
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

    private void CountJunk()
    {
        if (_junkCommands++ > _options.JunkCommandLimit)
        {
            _errors++;
        }
    }

    private static bool IsJunk(SmtpVerb verb) => verb is SmtpVerb.Helo or SmtpVerb.Ehlo or SmtpVerb.Rset or SmtpVerb.Noop or SmtpVerb.Vrfy or SmtpVerb.Etrn or SmtpVerb.Help;

    private static string Soften(string text) =>
        EnhancedStatus.LengthAt(text.AsSpan(Math.Min(4, text.Length))) > 0 ? $"4{text[1..4]}4{text[5..]}" : $"4{text[1..]}";

    private void Arm()
    {
        long now = _time.GetTimestamp();
        long deadline = now + Ticks(_options.Timeout);
        Volatile.Write(ref _deadline, _options.PerRequestDeadline && _requestDeadline != 0 ? Math.Min(deadline, _requestDeadline) : deadline);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private void LogEnd()
    {
        if (_countsClient)
        {
            _server.Clients.Disconnect(_options.ServiceName, _peer.IpAddress!, _options);
        }

        if (_reason is not null && !(_reason == "lost connection" && _state.Where == "END-OF-MESSAGE"))
        {
            string size = _state.Where is "DATA content" or "BDAT content" ? $" ({_contentBytes} bytes)" : "";
            string where = size.Length > 0 ? _state.Where[..4] : _state.Where;
            _log.Info($"{_state.QueueId ?? "NOQUEUE"}: {_reason} after {where}{size} from {_state.Client.NameAndAddress}");
        }

        StringBuilder counts = new();
        int succeeded = 0;
        int attempted = 0;
        for (int i = 0; i < SmtpVerbs.Count; i++)
        {
            if (_attempted[i] > 0)
            {
                AppendCount(counts, SmtpVerbs.LowerName((SmtpVerb)i), _succeeded[i], _attempted[i]);
                succeeded += _succeeded[i];
                attempted += _attempted[i];
            }
        }

        if (attempted == 0)
        {
            counts.Append(" commands=0/0");
        }
        else
        {
            AppendCount(counts, "commands", succeeded, attempted);
        }

        string notes = _sawBareNewline && _options.BareNewline == BareNewline.Note ? " notes=bare_lf" : "";
        _log.Info($"disconnect from {_state.Client.NameAndAddress}{counts}{notes}");
    }

    private static void AppendCount(StringBuilder counts, string name, int succeeded, int attempted)
    {
        counts.Append(' ').Append(name).Append('=').Append(succeeded);
        if (succeeded != attempted)
        {
            counts.Append('/').Append(attempted);
        }
    }

    private static string Shorten(string text, int length) => text.Length <= length ? text : text[..length];

    // As C would write it: printable text stays, the rest is \r, \n, \t or octal.
    private static string Escape(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length + 8);
        foreach (byte c in bytes)
        {
            _ = c switch
            {
                (byte)'\r' => text.Append("\\r"),
                (byte)'\n' => text.Append("\\n"),
                (byte)'\t' => text.Append("\\t"),
                (byte)'\\' => text.Append("\\\\"),
                < 32 or > 126 => text.Append('\\').Append(Convert.ToString(c, 8).PadLeft(3, '0')),
                _ => text.Append((char)c),
            };
        }

        return text.ToString();
    }
}
