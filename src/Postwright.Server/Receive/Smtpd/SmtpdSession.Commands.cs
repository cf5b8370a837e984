using Postwright.Core.Tables;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Receive.Smtpd;

// What a line is: nonsense, somebody else's protocol, or a command; and what may stand behind it.
internal sealed partial class SmtpdSession
{
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

    private void CountJunk()
    {
        if (_junkCommands++ > _options.JunkCommandLimit)
        {
            _errors++;
        }
    }

    private static bool IsJunk(SmtpVerb verb) => verb is SmtpVerb.Helo or SmtpVerb.Ehlo or SmtpVerb.Rset or SmtpVerb.Noop or SmtpVerb.Vrfy or SmtpVerb.Etrn or SmtpVerb.Help;
}
