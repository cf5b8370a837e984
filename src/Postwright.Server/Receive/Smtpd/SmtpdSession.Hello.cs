using System.Text;
using Postwright.Core.Tables;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;
using Postwright.Server.Route;

namespace Postwright.Server.Receive.Smtpd;

// The greeting and the commands that need no transaction.
internal sealed partial class SmtpdSession
{
    private async ValueTask LearnAboutClientAsync()
    {
        _xclientAllowed = !_service.XclientHosts.IsEmpty
            && await _service.XclientHosts.MatchAsync(_state.Client.Name, _state.Client.Address, Token) == MatchResult.Match;
        _isLocalClient = await _service.LocalClients.ContainsAsync(_state.Client, Token);
        _allowsBareNewline = _options.BareNewline == BareNewline.Allow
            || (!_service.BareNewlineExclusions.IsEmpty
                && await _service.BareNewlineExclusions.MatchAsync(_state.Client.Name, _state.Client.Address, Token) == MatchResult.Match);
    }

    // Content is taken while the client is who it is; XCLIENT makes it another.
    private bool _isLocalClient;

    // False when the session ends here.
    private async ValueTask<bool> GreetAsync()
    {
        if (!await CountConnectionAsync())
        {
            return false;
        }

        await BannerAsync();
        return true;
    }

    private async ValueTask BannerAsync()
    {
        if (!_options.DelayReject && await _service.Policy.CheckClientAsync(_state, Token) is { } refusal)
        {
            _accessDenied = refusal;
            await RefuseAsync(refusal);
            return;
        }

        await ReplyAsync("220 " + _options.Banner);
    }

    private async ValueTask<bool> CountConnectionAsync()
    {
        bool limits = _options.ClientConnectionLimit > 0 || _options.ClientConnectionRateLimit > 0
            || _options.ClientMessageRateLimit > 0 || _options.ClientRecipientRateLimit > 0;
        if (!limits || _xclientAllowed || _peer.IpAddress is not { } address
            || await _service.EventLimitExceptions.MatchAsync(_peer.Name, _peer.Address, Token) == MatchResult.Match)
        {
            return true;
        }

        (int count, int rate) = _server.Clients.Connect(_options.ServiceName, address, _options);
        _countsClient = true;
        bool tooMany = _options.ClientConnectionLimit > 0 && count > _options.ClientConnectionLimit;
        bool tooOften = _options.ClientConnectionRateLimit > 0 && rate > _options.ClientConnectionRateLimit;
        if (!tooMany && !tooOften)
        {
            return true;
        }

        await ReplyAsync($"421 4.7.0 {_options.MyHostName} Error: too many connections from {_peer.Address}");
        _log.Warning(tooMany
            ? $"Connection concurrency limit exceeded: {count} from {_peer.NameAndAddress} for service {_options.ServiceName}"
            : $"Connection rate limit exceeded: {rate} from {_peer.NameAndAddress} for service {_options.ServiceName}");
        return false;
    }

    // RFC 5321, 4.1.1.1. Words after the first are taken as part of the name, as Postfix does.
    private async ValueTask<bool> HelloAsync(ReadOnlyMemory<byte> line, bool isExtended)
    {
        if (_words.Count < 2)
        {
            return await FailAsync(isExtended ? "501 Syntax: EHLO hostname" : "501 Syntax: HELO hostname");
        }

        string name = Neuter(JoinWords(line.Span, 1));
        if (!_options.DelayReject && await _service.Policy.CheckHeloAsync(_state, name, Token) is { } refusal)
        {
            return await RefuseAsync(refusal);
        }

        EndTransaction();
        _state.Helo = name;
        _state.Protocol = isExtended ? "ESMTP" : "SMTP";
        if (!isExtended)
        {
            return await DoneAsync("250 " + _options.MyHostName);
        }

        await OfferAsync();
        return true;
    }

    private async ValueTask OfferAsync()
    {
        EhloKeywords not = _options.DiscardedKeywords;
        if (not != EhloKeywords.None && (not & EhloKeywords.SilentDiscard) == 0)
        {
            _log.Info($"discarding EHLO keywords: {string.Join(' ', DiscardedNames(not))}");
        }

        string pending = _options.MyHostName;
        foreach ((EhloKeywords keyword, string text) in Keywords())
        {
            if ((not & keyword) == 0)
            {
                await ReplyAsync("250-" + pending);
                pending = text;
            }
        }

        await ReplyAsync("250 " + pending);
    }

    private IEnumerable<(EhloKeywords Keyword, string Text)> Keywords()
    {
        yield return (EhloKeywords.Pipelining, "PIPELINING");
        yield return (EhloKeywords.Size, _options.MessageSizeLimit > 0 ? $"SIZE {_options.MessageSizeLimit}" : "SIZE");
        if (!_options.DisableVrfy)
        {
            yield return (EhloKeywords.Vrfy, "VRFY");
        }

        yield return (EhloKeywords.Etrn, "ETRN");
        if (_xclientAllowed)
        {
            yield return (EhloKeywords.Xclient, "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT");
        }

        yield return (EhloKeywords.EnhancedStatusCodes, "ENHANCEDSTATUSCODES");
        yield return (EhloKeywords.EightBitMime, "8BITMIME");
        yield return (EhloKeywords.Dsn, "DSN");
        if (_options.SmtpUtf8Enabled)
        {
            yield return (EhloKeywords.SmtpUtf8, "SMTPUTF8");
        }

        yield return (EhloKeywords.Chunking, "CHUNKING");
    }

    private static IEnumerable<string> DiscardedNames(EhloKeywords not)
    {
        foreach ((EhloKeywords keyword, string name) in new[]
        {
            (EhloKeywords.EightBitMime, "8BITMIME"), (EhloKeywords.Chunking, "CHUNKING"), (EhloKeywords.Dsn, "DSN"),
            (EhloKeywords.EnhancedStatusCodes, "ENHANCEDSTATUSCODES"), (EhloKeywords.Etrn, "ETRN"),
            (EhloKeywords.Pipelining, "PIPELINING"), (EhloKeywords.Size, "SIZE"), (EhloKeywords.SmtpUtf8, "SMTPUTF8"),
            (EhloKeywords.Vrfy, "VRFY"), (EhloKeywords.Xclient, "XCLIENT"),
        })
        {
            if ((not & keyword) != 0)
            {
                yield return name;
            }
        }
    }

    private async ValueTask<bool> QuitAsync()
    {
        _isOver = true;
        await ReplyAsync("221 2.0.0 Bye");
        return true;
    }

    private ValueTask<bool> RsetAsync()
    {
        if (_words.Count != 1)
        {
            return FailAsync("501 5.5.4 Syntax: RSET");
        }

        EndTransaction();
        return DoneAsync("250 2.0.0 Ok");
    }

    private ValueTask<bool> AuthAsync() => FailAsync(_options.HeloRequired && _state.Helo is null
        ? "503 5.5.1 Error: send HELO/EHLO first"
        : "503 5.5.1 Error: authentication not enabled");

    private async ValueTask<bool> VrfyAsync(ReadOnlyMemory<byte> line)
    {
        if (_options.DisableVrfy)
        {
            return await FailAsync("502 5.5.1 VRFY command is disabled");
        }

        if (_words.Count < 2)
        {
            bool utf8 = _options.SmtpUtf8Enabled && (_options.DiscardedKeywords & EhloKeywords.SmtpUtf8) == 0;
            return await FailAsync(utf8 ? "501 5.5.4 Syntax: VRFY address [SMTPUTF8]" : "501 5.5.4 Syntax: VRFY address");
        }

        string shown = JoinWords(line.Span, 1);
        string? address = await ReadAddressAsync(Encoding.UTF8.GetBytes(shown), isBroken: false, allowEmpty: false, strict: false);
        if (address is null)
        {
            return await FailAsync("501 5.1.3 Bad recipient address syntax");
        }

        return await _service.Policy.CheckRecipientAsync(_state, address, Token) is { } refusal
            ? await RefuseAsync(refusal)
            : await DoneAsync("252 2.0.0 " + shown);
    }

    // RFC 1985. Only for fast_flush_domains, as in Postfix.
    private async ValueTask<bool> EtrnAsync(ReadOnlyMemory<byte> line)
    {
        if (_options.HeloRequired && _state.Helo is null)
        {
            return await FailAsync("503 Error: send HELO/EHLO first");
        }

        if (InTransaction)
        {
            return await FailAsync("503 Error: MAIL transaction in progress");
        }

        if (_words.Count != 2)
        {
            return await FailAsync("500 Syntax: ETRN domain");
        }

        string domain = SmtpPath.Decode(_words.Slice(line.Span, 1));
        string name = domain is ['@' or '#', ..] ? domain[1..] : domain;
        bool valid = HostNames.IsValid(name) || (name is ['[', .. string inside, ']'] && HostNames.IsValidLiteral(inside, out _));
        if (!valid)
        {
            return await FailAsync("501 Error: invalid parameter syntax");
        }

        if (await _service.Policy.CheckEtrnAsync(_state, name, Token) is { } refusal)
        {
            return await RefuseAsync(refusal);
        }

        switch (await _service.FastFlushDomains.MatchAsync(name, Token))
        {
            case MatchResult.Match:
                _service.Reminders.Flush(_log, name);
                await _service.Parts.Queue.FlushSiteAsync(name, Token);
                return await DoneAsync("250 Queuing started");
            case MatchResult.NoMatch:
                _log.Warning($"reject: ETRN {Shorten(name, 100)}... from {_state.Client.NameAndAddress}");
                return await FailAsync($"459 <{name}>: service unavailable");
            default:
                return await FailAsync("458 Unable to queue messages");
        }
    }

    /// <summary>An address in internal form, or null: unreadable, or what no rewriting makes an address.</summary>
    private async ValueTask<string?> ReadAddressAsync(ReadOnlyMemory<byte> argument, bool isBroken, bool allowEmpty, bool strict)
    {
        bool readable = SmtpPath.TryParse(argument.Span, strict, out string address) && !isBroken && (allowEmpty || address.Length > 0);
        if (readable && address.Length > 0)
        {
            Classification found = await _service.Parts.Classifier.ClassifyAsync(address, Token);
            readable = found.Status != ClassificationStatus.BadAddress;
        }

        if (readable)
        {
            return address;
        }

        if (!isBroken)
        {
            _log.Warning($"Illegal address syntax from {_state.Client.NameAndAddress} in {_state.Where} command: {Shorten(SmtpPath.Decode(argument.Span), 200)}");
        }

        return null;
    }

    private string JoinWords(ReadOnlySpan<byte> line, int first)
    {
        StringBuilder text = new();
        for (int i = first; i < _words.Count; i++)
        {
            text.Append(i == first ? "" : " ").Append(SmtpPath.Decode(_words.Slice(line, i)));
        }

        return text.ToString();
    }

    // Characters that could mislead a reader of headers and logs.
    private static string Neuter(string name) => string.Create(name.Length, name, static (span, source) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            char c = source[i];
            span[i] = c is <= ' ' or '\x7f' || "<>()\\\";@".Contains(c) ? '?' : c;
        }
    });

    private static string External(string address) => AddressText.ToExternal(address);
}
