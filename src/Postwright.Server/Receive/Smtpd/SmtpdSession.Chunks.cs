using System.Globalization;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Receive.Smtpd;

// BDAT (RFC 3030): content in counted chunks, without dots and without an end mark.
internal sealed partial class SmtpdSession
{
    private ChunkState _chunks;
    private DataScanner _chunkScanner;

    // CRs at the end of the chunk before: their LF may come with the next.
    private int _heldReturns;

    private enum ChunkState : byte
    {
        // No chunk of this message was seen.
        None,

        // Chunks are taken.
        Taking,

        // A chunk was refused; the others are read and thrown away up to the last.
        Failed,
    }

    private async ValueTask<bool> BdatAsync(ReadOnlyMemory<byte> line)
    {
        if ((_options.DiscardedKeywords & EhloKeywords.Chunking) != 0)
        {
            // The client was not told of BDAT; what follows cannot be told from commands.
            _isOver = true;
            return await FailAsync("521 5.5.1 Error: command not implemented");
        }

        if (!TryReadChunkHeader(line.Span, out long size, out bool isLast))
        {
            _isOver = true;
            _log.Warning($"{_state.QueueId ?? "NOQUEUE"}: malformed BDAT command syntax from {_state.Client.NameAndAddress}: {Shorten(SmtpPath.Decode(line.Span), 100)}");
            return await FailAsync("521 5.5.4 Syntax: BDAT count [LAST]");
        }

        string? refusal = await RefusalOfChunkAsync(size, isLast);
        if (refusal is not null)
        {
            return await SkipChunkAsync(size, isLast, refusal);
        }

        if (_chunks == ChunkState.None)
        {
            await BeginContentAsync();
            _chunkScanner = new DataScanner(isStrict: !_allowsBareNewline, hasDots: false);
            _heldReturns = 0;
            _chunks = ChunkState.Taking;
        }

        _state.Where = "BDAT content";
        if (!await TakeChunkAsync(size, isLast))
        {
            return LoseConnection();
        }

        if (!isLast)
        {
            _state.Where = "BDAT";
            return await DoneAsync($"250 2.0.0 Ok: {size} bytes");
        }

        if (_heldReturns > 0)
        {
            await KeepHeldReturnsAsync([]);
        }

        if (_chunkScanner.IsInLine)
        {
            await KeepAsync(default, new DataPiece(0, 0, 0, AddsLineEnd: true, IsEnd: true));
        }

        long total = _contentBytes;
        _sawBareNewline |= _chunkScanner.SawBareLineFeed;
        return await EndContentAsync(_chunkScanner.SawBareLineFeed && !_allowsBareNewline, id => $"250 2.0.0 Ok: {total} bytes queued as {id}");
    }

    private bool TryReadChunkHeader(ReadOnlySpan<byte> line, out long size, out bool isLast)
    {
        size = 0;
        isLast = _words.Count == 3 && System.Text.Ascii.EqualsIgnoreCase(_words.Slice(line, 2), "LAST"u8);
        return _words.Count is 2 or 3 && (_words.Count == 2 || isLast)
            && long.TryParse(_words.Slice(line, 1), NumberStyles.None, CultureInfo.InvariantCulture, out size);
    }

    private async ValueTask<string?> RefusalOfChunkAsync(long size, bool isLast)
    {
        if (_chunks == ChunkState.Failed)
        {
            return $"551 5.0.0 Discarded {size} bytes after earlier error";
        }

        // An endless row of these would cost the client nothing.
        if (size == 0 && !isLast)
        {
            _log.Warning($"{_state.QueueId ?? "NOQUEUE"}: null BDAT request from {_state.Client.NameAndAddress}");
            return "551 5.7.1 Null BDAT request";
        }

        if (_recipients.Count == 0)
        {
            return InTransaction ? "554 5.5.1 Error: no valid recipients" : "503 5.5.1 Error: need RCPT command";
        }

        if (_chunks == ChunkState.None && await _service.Policy.CheckDataAsync(_state, Token) is { } refusal)
        {
            return refusal;
        }

        long soFar = _chunks == ChunkState.None ? 0 : _contentBytes;
        if (_options.MessageSizeLimit > 0 && size > _options.MessageSizeLimit - soFar)
        {
            _log.Warning($"{_state.QueueId ?? "NOQUEUE"}: BDAT request from {_state.Client.NameAndAddress} exceeds message size limit");
            return "552 5.3.4 Chunk exceeds message size limit";
        }

        return null;
    }

    private async ValueTask<bool> TakeChunkAsync(long size, bool isLast)
    {
        _input.Enlarge();
        while (size > 0)
        {
            ReadOnlyMemory<byte> pending = _input.Pending;
            pending = pending[..(int)Math.Min(pending.Length, size)];
            bool isEnd = isLast && pending.Length == size;
            if (pending.IsEmpty || (_atFirstLine && !await TakeFirstOfChunkAsync(pending, isEnd)))
            {
                if (!await ReceiveContentAsync())
                {
                    return false;
                }

                continue;
            }

            if (_heldReturns > 0)
            {
                await JoinHeldReturnsAsync(pending.Span[0]);
                _input.Consume(1);
                size--;
                continue;
            }

            DataPiece piece = _chunkScanner.Next(pending.Span, isEnd);
            if (piece.Consumed == 0 && pending.Length == size)
            {
                _heldReturns = pending.Length;
                _input.Consume(pending.Length);
                break;
            }

            if (piece.Consumed == 0)
            {
                if (!await ReceiveContentAsync())
                {
                    return false;
                }

                continue;
            }

            await KeepAsync(pending, piece);
            _input.Consume(piece.Consumed);
            size -= piece.Consumed;
        }

        _input.Shrink();
        return true;
    }

    // What follows CRs that ended a chunk: one more, their LF, or something that makes them content.
    private async ValueTask JoinHeldReturnsAsync(byte next)
    {
        if (next != '\r')
        {
            await KeepHeldReturnsAsync([next]);
            return;
        }

        if (_heldReturns == DataScanner.MaxCarriageReturns)
        {
            await KeepHeldReturnsAsync([]);
        }

        _heldReturns++;
    }

    private async ValueTask KeepHeldReturnsAsync(byte[] next)
    {
        byte[] held = new byte[_heldReturns + next.Length];
        held.AsSpan(0, _heldReturns).Fill((byte)'\r');
        next.CopyTo(held, _heldReturns);
        _heldReturns = 0;
        for (ReadOnlyMemory<byte> rest = held; !rest.IsEmpty;)
        {
            DataPiece piece = _chunkScanner.Next(rest.Span, isLast: true);
            await KeepAsync(rest, piece);
            rest = rest[piece.Consumed..];
        }
    }

    // BDAT clients are programs that know what a header is; only the blank that would continue ours matters.
    private async ValueTask<bool> TakeFirstOfChunkAsync(ReadOnlyMemory<byte> pending, bool isEnd)
    {
        _atFirstLine = false;
        if (pending.Span[0] is (byte)' ' or (byte)'\t')
        {
            await _message!.WriteAsync(LineEnd, Token);
        }

        return isEnd || !pending.IsEmpty;
    }

    private async ValueTask<bool> SkipChunkAsync(long size, bool isLast, string reply)
    {
        while (size > 0)
        {
            int count = (int)Math.Min(_input.Pending.Length, size);
            if (count == 0)
            {
                if (!await ReceiveContentAsync())
                {
                    return LoseConnection();
                }

                continue;
            }

            _input.Consume(count);
            size -= count;
        }

        if (isLast)
        {
            EndTransaction();
        }
        else
        {
            _message?.Dispose();
            _message = null;
            _chunks = ChunkState.Failed;
        }

        return await RefuseAsync(reply);
    }
}
