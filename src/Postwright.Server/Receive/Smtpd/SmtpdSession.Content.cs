using System.Text;
using Postwright.Protocol.Smtp;
using Postwright.Server.Cleanup;

namespace Postwright.Server.Receive.Smtpd;

// DATA, and what DATA and BDAT share: the trace header, the size limit, the end.
internal sealed partial class SmtpdSession
{
    private static readonly ReadOnlyMemory<byte> LineEnd = new byte[] { (byte)'\r', (byte)'\n' };

    private ICleanupMessage? _message;
    private long _contentBytes;
    private bool _isTooLarge;
    private bool _atFirstLine;

    private async ValueTask<bool> DataAsync()
    {
        if (_chunks != ChunkState.None)
        {
            return await FailAsync("503 5.5.1 Error: DATA after BDAT");
        }

        if (_recipients.Count == 0)
        {
            return await FailAsync(InTransaction ? "554 5.5.1 Error: no valid recipients" : "503 5.5.1 Error: need RCPT command");
        }

        if (_words.Count != 1)
        {
            return await FailAsync("501 5.5.4 Syntax: DATA");
        }

        if (await _service.Policy.CheckDataAsync(_state, Token) is { } refusal)
        {
            return await RefuseAsync(refusal);
        }

        await ReplyAsync("354 End data with <CR><LF>.<CR><LF>");
        await BeginContentAsync();
        _state.Where = "DATA content";
        DataScanner scanner = new(isStrict: !_allowsBareNewline, hasDots: true);
        _input.Enlarge();
        while (true)
        {
            ReadOnlyMemory<byte> pending = _input.Pending;
            if (pending.IsEmpty || (_atFirstLine && !await TakeFirstLineAsync(pending)))
            {
                if (!await ReceiveContentAsync())
                {
                    return LoseConnection();
                }

                continue;
            }

            pending = _input.Pending;
            if (pending.IsEmpty)
            {
                continue;
            }

            DataPiece piece = scanner.Next(pending.Span);
            if (piece.Consumed == 0)
            {
                if (!await ReceiveContentAsync())
                {
                    return LoseConnection();
                }

                continue;
            }

            await KeepAsync(pending, piece);
            _input.Consume(piece.Consumed);
            if (piece.IsEnd)
            {
                break;
            }
        }

        _input.Shrink();
        _sawBareNewline |= scanner.SawBareLineFeed;
        return await EndContentAsync(scanner.SawBareLineFeed && !_allowsBareNewline, static id => $"250 2.0.0 Ok: queued as {id}");
    }

    private bool LoseConnection()
    {
        _reason = "lost connection";
        _isOver = true;
        return false;
    }

    private async ValueTask<bool> ReceiveContentAsync()
    {
        await SendAsync();
        int before = _input.Pending.Length;
        bool received = await ReceiveAsync();

        // A deadline for the whole message would punish large ones: it moves with what arrives (smtpd_min_data_rate).
        _requestDeadline += (_input.Pending.Length - before) * _time.TimestampFrequency / Math.Max(1, _options.MinDataRate);
        return received;
    }

    private async ValueTask BeginContentAsync()
    {
        _contentBytes = 0;
        _isTooLarge = false;
        _atFirstLine = true;
        _message = _service.Parts.Cleanup.Begin(MakeEnvelope(), CleanupOptionsForClient());
        await _message.WriteAsync(TraceHeader(), Token);
    }

    // Keeps a piece of content, unless the message is too large: counted in lines that end CR LF, whatever the client sent.
    private async ValueTask KeepAsync(ReadOnlyMemory<byte> input, DataPiece piece)
    {
        int count = piece.Length + (piece.AddsLineEnd ? 2 : 0);
        if (count == 0 || !Fits(count))
        {
            return;
        }

        if (piece.Length > 0)
        {
            await _message!.WriteAsync(input.Slice(piece.Start, piece.Length), Token);
        }

        if (piece.AddsLineEnd)
        {
            await _message!.WriteAsync(LineEnd, Token);
        }
    }

    private bool Fits(int count)
    {
        if (_isTooLarge)
        {
            return false;
        }

        if (_options.MessageSizeLimit > 0 && _contentBytes + count > _options.MessageSizeLimit)
        {
            _isTooLarge = true;
            _log.Warning($"{_state.QueueId}: queue file size limit exceeded");
            return false;
        }

        _contentBytes += count;
        return true;
    }

    // A "From " line of a mailbox file is no header, and a first line that begins with a blank continues none: without this
    // either would end the headers, ours included. False when more of the line is needed.
    private async ValueTask<bool> TakeFirstLineAsync(ReadOnlyMemory<byte> pending)
    {
        while (!pending.IsEmpty)
        {
            ReadOnlySpan<byte> bytes = pending.Span;
            if (bytes[0] is not ((byte)'>' or (byte)'F'))
            {
                if (bytes[0] is (byte)' ' or (byte)'\t')
                {
                    await _message!.WriteAsync(LineEnd, Token);
                }

                _atFirstLine = false;
                return true;
            }

            int newline = bytes.IndexOf((byte)'\n');
            if (newline < 0 && bytes.Length < _options.LineLengthLimit)
            {
                return false;
            }

            if (newline < 0 || !bytes.TrimStart((byte)'>').StartsWith("From "u8))
            {
                _atFirstLine = false;
                return true;
            }

            byte[] header = XMailboxLine(bytes[..newline].TrimEnd((byte)'\r'));
            if (Fits(header.Length))
            {
                await _message!.WriteAsync(header, Token);
            }

            _input.Consume(newline + 1);
            pending = _input.Pending;
        }

        return false;
    }

    private static byte[] XMailboxLine(ReadOnlySpan<byte> line) => [.. "X-Mailbox-Line: "u8, .. line, .. "\r\n"u8];

    // RFC 5321, 4.4, in Postfix's layout.
    private byte[] TraceHeader()
    {
        SmtpdClient client = _state.Client;
        string date = _service.Dates.Format(_arrival);
        string protocol = (_encoding & Queue.MessageEncoding.SmtpUtf8) != 0 ? "UTF8SMTP" : _state.Protocol;
        string end = _recipients.Count == 1
            ? $"{_state.QueueId}\r\n\tfor <{External(_recipients[0].Address)}>; {date}\r\n"
            : $"{_state.QueueId};\r\n\t{date}\r\n";
        return Encoding.UTF8.GetBytes(
            $"Received: from {_state.Helo ?? client.Name} ({client.Name} [{client.AddressInHeader}])\r\n\tby {_options.MyHostName} ({_options.MailName}) with {protocol} id {end}");
    }

    // The last decisions, the disk, and the reply that tells.
    private async ValueTask<bool> EndContentAsync(bool refusesBareNewline, Func<string, string> success)
    {
        _state.Where = "END-OF-MESSAGE";
        ICleanupMessage message = _message!;
        _message = null;
        string id = _state.QueueId!;
        string? reply = null;
        using (message)
        {
            if (refusesBareNewline && _options.BareNewline == BareNewline.Reject)
            {
                _state.LogEvent("reject", "bare <LF> received");
                reply = $"{_options.BareNewlineRejectCode} 5.5.2 {_options.MyHostName} Error: bare <LF> received";
            }
            else if (!_isTooLarge)
            {
                reply = await _service.Policy.CheckEndOfDataAsync(_state, Token);
            }

            if (_isTooLarge)
            {
                reply ??= "552 5.3.4 Error: message file too big";
            }

            reply ??= _state.Discard ? null : ReplyTo(await FinishAsync(message));
        }

        bool hangUp = _state.HangUp;
        EndTransaction();
        if (reply is not null)
        {
            _isOver |= hangUp;
            return await FailAsync(reply);
        }

        _errors = 0;
        _junkCommands = 0;
        return await DoneAsync(success(id));
    }

    // Not cancelled by time-out or shutdown: once the disk was asked, the client must hear what it said.
    private ValueTask<CleanupStatus> FinishAsync(ICleanupMessage message)
    {
        System.Threading.Volatile.Write(ref _deadline, 0);
        return message.FinishAsync(CancellationToken.None);
    }

    private static string? ReplyTo(CleanupStatus status) => status switch
    {
        CleanupStatus.Queued or CleanupStatus.Discarded or CleanupStatus.Duplicate => null,
        CleanupStatus.TooLarge => "552 5.3.4 Error: message file too big",
        CleanupStatus.NoSpace => "452 4.3.1 Error: insufficient system storage",
        CleanupStatus.TooManyHops => "554 5.4.0 Error: too many hops",
        _ => "451 4.3.0 Error: queue file write error",
    };
}
