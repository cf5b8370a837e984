using System.Globalization;
using System.Text;
using Postwright.Protocol.Smtp;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;

namespace Postwright.Server.Receive.Smtpd;

// MAIL and RCPT: the envelope of the message that is being received.
internal sealed partial class SmtpdSession
{
    private readonly List<EnvelopeRecipient> _recipients = [];
    private DateTimeOffset _arrival;
    private DsnReturn _dsnReturn;
    private string _envelopeId = "";
    private MessageEncoding _encoding;
    private int _overshoot;

    private bool InTransaction => _state is { Sender: not null };

    private async ValueTask<bool> MailAsync(ReadOnlyMemory<byte> line)
    {
        if (_options.HeloRequired && _state.Helo is null)
        {
            return await FailAsync("503 5.5.1 Error: send HELO/EHLO first");
        }

        if (InTransaction)
        {
            return await FailAsync("503 5.5.1 Error: nested MAIL command");
        }

        if (_chunks != ChunkState.None)
        {
            return await FailAsync("503 5.5.1 Error: MAIL after BDAT");
        }

        if (_words.Count < 3 || !Ascii.EqualsIgnoreCase(_words.Slice(line.Span, 1), "from:"u8))
        {
            return await FailAsync("501 5.5.4 Syntax: MAIL FROM:<address>");
        }

        if (_words[2].IsBroken)
        {
            return await FailAsync("501 5.1.7 Bad sender address syntax");
        }

        if (await ExceedsRateAsync(isRecipient: false))
        {
            return false;
        }

        string? sender = await ReadAddressAsync(Word(line, 2), isBroken: false, allowEmpty: true, _options.StrictEnvelopes);
        if (sender is null)
        {
            return await FailAsync("501 5.1.7 Bad sender address syntax");
        }

        ResetEnvelope();
        long size = 0;
        for (int i = 3; i < _words.Count; i++)
        {
            if (MailParameter(_words.Slice(line.Span, i), ref size) is { } complaint)
            {
                ResetEnvelope();
                return await FailAsync(complaint);
            }
        }

        return await BeginTransactionAsync(sender, size);
    }

    private async ValueTask<bool> BeginTransactionAsync(string sender, long size)
    {
        if (_options.StrictSmtpUtf8 && !Ascii.IsValid(sender) && (_encoding & MessageEncoding.SmtpUtf8) == 0)
        {
            return await FailAsync("553 5.6.7 Must declare SMTPUTF8 to send unicode address");
        }

        _service.Reminders.NonAscii(_state, "sender", sender);
        _state.Sender = sender;
        string? refusal = null;
        if (_options.MessageSizeLimit > 0 && size > _options.MessageSizeLimit)
        {
            refusal = "552 5.3.4 Message size exceeds fixed limit";
            _state.LogEvent("reject", refusal);
        }

        refusal ??= _options.DelayReject ? null : await _service.Policy.CheckSenderAsync(_state, sender, Token);
        refusal ??= RefusalForSpace();

        if (refusal is not null)
        {
            EndTransaction();
            return await RefuseAsync(refusal);
        }

        _arrival = _time.GetUtcNow();
        return await DoneAsync("250 2.1.0 Ok");
    }

    // Room for one message of any size, and half as much again for what else is written meanwhile; queue_minfree asks for more.
    private string? RefusalForSpace()
    {
        StoreRoom room = _service.Parts.Store.Room();
        long free = room.FileSystem + room.Kept;
        bool isAboveLimit = _options.QueueMinFree <= 0 || room.FileSystem > _options.QueueMinFree;
        if (isAboveLimit && free / 3 * 2 > _options.MessageSizeLimit)
        {
            return null;
        }

        const string Refusal = "452 4.3.1 Insufficient system storage";
        _state.Sender = null;
        _state.LogEvent("reject", Refusal);
        _log.Warning($"not enough free space in mail queue: {free} bytes < 1.5*message size limit");
        return Refusal;
    }

    // One parameter of MAIL; the complaint that refuses it, or null.
    private string? MailParameter(ReadOnlySpan<byte> word, ref long size)
    {
        if (Ascii.EqualsIgnoreCase(word, "BODY=8BITMIME"u8))
        {
            _encoding = (_encoding & ~MessageEncoding.SevenBit) | MessageEncoding.EightBitMime;
            return null;
        }

        if (Ascii.EqualsIgnoreCase(word, "BODY=7BIT"u8))
        {
            _encoding = (_encoding & ~MessageEncoding.EightBitMime) | MessageEncoding.SevenBit;
            return null;
        }

        if (Is(word, "SIZE="u8))
        {
            return SizeParameter(word[5..], ref size);
        }

        if (Is(word, "RET="u8))
        {
            if ((_options.DiscardedKeywords & EhloKeywords.Dsn) != 0)
            {
                return "501 5.7.1 DSN support is disabled";
            }

            DsnReturn value = Ascii.EqualsIgnoreCase(word[4..], "FULL"u8) ? DsnReturn.Full
                : Ascii.EqualsIgnoreCase(word[4..], "HDRS"u8) ? DsnReturn.Headers : DsnReturn.Unspecified;
            if (_dsnReturn != DsnReturn.Unspecified || value == DsnReturn.Unspecified)
            {
                return "501 5.5.4 Bad RET parameter syntax";
            }

            _dsnReturn = value;
            return null;
        }

        if (Is(word, "ENVID="u8))
        {
            if ((_options.DiscardedKeywords & EhloKeywords.Dsn) != 0)
            {
                return "501 5.7.1 DSN support is disabled";
            }

            // RFC 3461, 4.4: at most 100 characters, printable once decoded.
            if (_envelopeId.Length > 0 || !Xtext.TryDecode(word[6..], out string id) || id.Length == 0 || id.Any(char.IsControl))
            {
                return "501 5.5.4 Bad ENVID parameter syntax";
            }

            _envelopeId = id;
            return null;
        }

        if (Ascii.EqualsIgnoreCase(word, "SMTPUTF8"u8) && _options.SmtpUtf8Enabled && (_options.DiscardedKeywords & EhloKeywords.SmtpUtf8) == 0)
        {
            _encoding |= MessageEncoding.SmtpUtf8;
            return null;
        }

        return "555 5.5.4 Unsupported option: " + SmtpPath.Decode(word);
    }

    private static string? SizeParameter(ReadOnlySpan<byte> digits, ref long size)
    {
        if (digits.IsEmpty || digits.IndexOfAnyExceptInRange((byte)'0', (byte)'9') >= 0)
        {
            return "501 5.5.4 Bad message size syntax";
        }

        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out size)
            ? null
            : "552 5.3.4 Message size exceeds file system imposed limit";
    }

    private async ValueTask<bool> RcptAsync(ReadOnlyMemory<byte> line)
    {
        if (!InTransaction)
        {
            return await FailAsync("503 5.5.1 Error: need MAIL command");
        }

        if (_chunks != ChunkState.None)
        {
            return await FailAsync("503 5.5.1 Error: RCPT after BDAT");
        }

        if (_words.Count < 3 || !Ascii.EqualsIgnoreCase(_words.Slice(line.Span, 1), "to:"u8))
        {
            return await FailAsync("501 5.5.4 Syntax: RCPT TO:<address>");
        }

        if (_words[2].IsBroken)
        {
            return await FailAsync("501 5.1.3 Bad recipient address syntax");
        }

        if (await ExceedsRateAsync(isRecipient: true))
        {
            return false;
        }

        string? recipient = await ReadAddressAsync(Word(line, 2), isBroken: false, allowEmpty: false, _options.StrictEnvelopes);
        if (recipient is null)
        {
            return await FailAsync("501 5.1.3 Bad recipient address syntax");
        }

        DsnNotify notify = DsnNotify.Unspecified;
        string original = "";
        for (int i = 3; i < _words.Count; i++)
        {
            if (RcptParameter(_words.Slice(line.Span, i), ref notify, ref original) is { } complaint)
            {
                return await FailAsync(complaint);
            }
        }

        if (_recipients.Count >= _options.RecipientLimit)
        {
            await ReplyAsync("452 4.5.3 Error: too many recipients");
            return _overshoot++ < _options.RecipientOvershootLimit;
        }

        _service.Reminders.NonAscii(_state, "recipient", recipient);
        return await _service.Policy.CheckRecipientAsync(_state, recipient, Token) is { } refusal
            ? await RefuseAsync(refusal)
            : await AcceptRecipientAsync(recipient, notify, original);
    }

    private ValueTask<bool> AcceptRecipientAsync(string recipient, DsnNotify notify, string original)
    {
        if (_state.QueueId is null)
        {
            _state.QueueId = _service.Parts.Store.NewQueueId();
            _log.Info($"{_state.QueueId}: client={_state.Client.NameAndAddress}");
        }

        _recipients.Add(new EnvelopeRecipient(recipient, recipient, notify, original));

        // Later refusals name the recipient only while there is one.
        _state.Recipient = _recipients.Count == 1 ? recipient : null;
        return DoneAsync("250 2.1.5 Ok");
    }

    private string? RcptParameter(ReadOnlySpan<byte> word, ref DsnNotify notify, ref string original)
    {
        bool isNotify = Is(word, "NOTIFY="u8);
        if (!isNotify && !Is(word, "ORCPT="u8))
        {
            return "555 5.5.4 Unsupported option: " + SmtpPath.Decode(word);
        }

        if ((_options.DiscardedKeywords & EhloKeywords.Dsn) != 0)
        {
            return "501 5.7.1 DSN support is disabled";
        }

        if (isNotify)
        {
            return notify == DsnNotify.Unspecified && TryNotify(word[7..], out notify) ? null : "501 5.5.4 Error: Bad NOTIFY parameter syntax";
        }

        // RFC 3461, 4.2: type;xtext.
        int semicolon = word.IndexOf((byte)';');
        if (original.Length > 0 || semicolon <= 6 || !Xtext.TryDecode(word[(semicolon + 1)..], out string address))
        {
            return "501 5.5.4 Error: Bad ORCPT parameter syntax";
        }

        original = $"{SmtpPath.Decode(word[6..semicolon])};{address}";
        return null;
    }

    // RFC 3461, 4.1: NEVER alone, or any of the others.
    private static bool TryNotify(ReadOnlySpan<byte> value, out DsnNotify notify)
    {
        notify = DsnNotify.Unspecified;
        foreach (string item in SmtpPath.Decode(value).Split(','))
        {
            DsnNotify one = item.ToUpperInvariant() switch
            {
                "NEVER" => DsnNotify.Never,
                "SUCCESS" => DsnNotify.Success,
                "FAILURE" => DsnNotify.Failure,
                "DELAY" => DsnNotify.Delay,
                _ => DsnNotify.Unspecified,
            };
            if (one == DsnNotify.Unspecified || (notify & one) != 0)
            {
                return false;
            }

            notify |= one;
        }

        return (notify & DsnNotify.Never) == 0 || notify == DsnNotify.Never;
    }

    private async ValueTask<bool> ExceedsRateAsync(bool isRecipient)
    {
        int limit = isRecipient ? _options.ClientRecipientRateLimit : _options.ClientMessageRateLimit;
        if (!_countsClient || limit == 0)
        {
            return false;
        }

        int rate = isRecipient
            ? _server.Clients.Recipient(_options.ServiceName, _peer.IpAddress!, _options)
            : _server.Clients.Mail(_options.ServiceName, _peer.IpAddress!, _options);
        if (rate <= limit)
        {
            return false;
        }

        await ReplyAsync(isRecipient
            ? $"450 4.7.1 Error: too many recipients from {_peer.Address}"
            : $"450 4.7.1 Error: too much mail from {_peer.Address}");
        _log.Warning(isRecipient
            ? $"Recipient address rate limit exceeded: {rate} from {_peer.NameAndAddress} for service {_options.ServiceName}"
            : $"Message delivery request rate limit exceeded: {rate} from {_peer.NameAndAddress} for service {_options.ServiceName}");
        return true;
    }

    private void ResetEnvelope()
    {
        _recipients.Clear();
        _dsnReturn = DsnReturn.Unspecified;
        _envelopeId = "";
        _encoding = MessageEncoding.None;
        _overshoot = 0;
    }

    /// <summary>Forgets the message: after RSET, HELO, or its end.</summary>
    private void EndTransaction()
    {
        ResetEnvelope();
        _message?.Dispose();
        _message = null;
        _chunks = ChunkState.None;
        if (_state is { } state)
        {
            state.Sender = null;
            state.Recipient = null;
            state.QueueId = null;
            state.Hold = false;
            state.Discard = false;
        }
    }

    private Envelope MakeEnvelope() => new()
    {
        QueueId = _state.QueueId!,
        Arrival = _arrival,
        Sender = _state.Sender!,
        Recipients = [.. _recipients],
        Origin = new MessageOrigin(_state.Client.Name, _state.Client.Address, _state.Client.Port, _state.Helo ?? "", _state.Protocol),
        Return = _dsnReturn,
        EnvelopeId = _envelopeId,
        Encoding = _encoding,
        Hold = _state.Hold,
    };

    private CleanupOptions CleanupOptionsForClient()
    {
        CleanupOptions options = CleanupOptions.Smtpd;
        if (_service.Parts.SkipsAddressMappings)
        {
            options &= ~CleanupOptions.VirtualAliases;
        }

        return _isLocalClient ? options | CleanupOptions.LocalSubmission : options;
    }

    private ReadOnlyMemory<byte> Word(ReadOnlyMemory<byte> line, int index) => line.Slice(_words[index].Start, _words[index].Length);

    private static bool Is(ReadOnlySpan<byte> word, ReadOnlySpan<byte> prefix) =>
        word.Length >= prefix.Length && Ascii.EqualsIgnoreCase(word[..prefix.Length], prefix);
}
