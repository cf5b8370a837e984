using System.Globalization;
using Postwright.Protocol.Mail;
using Postwright.Server.Queue;

namespace Postwright.Server.Cleanup;

/// <summary>
/// One message on its way through cleanup. Content is written as it comes; the envelope follows at the end, when the last
/// recipient is known. A failure is remembered, the rest is swallowed, and <see cref="FinishAsync"/> tells.
/// </summary>
internal sealed class CleanupMessage : ICleanupMessage
{
    private const int OutOfSpace = 28;

    /// <summary>Bytes of the headers that are added to a message, our trace among them: they do not count against its limit.</summary>
    private const int MostAdded = 8192;

    private readonly CleanupService _service;
    private readonly CleanupOptions _options;
    private readonly Envelope _envelope;
    private readonly List<EnvelopeRecipient> _recipients;
    private readonly bool _completes;
    private HeaderFilter? _headers;
    private ContentWriter? _writer;
    private CleanupStatus _status = CleanupStatus.Queued;
    private long _received;
    private long _headersGrown;
    private byte _lastByte;
    private bool _pendingCr;

    public CleanupMessage(CleanupService service, Envelope envelope, CleanupOptions options)
    {
        _service = service;
        _envelope = envelope;
        _options = options;
        _recipients = [.. envelope.Recipients];
        _completes = (options & CleanupOptions.LocalSubmission) != 0;
        _headers = new HeaderFilter(service.Settings, _completes ? new HeaderAddresses(service.Rewriter) : null);
        _writer = service.Store.CreateContent();
    }

    /// <inheritdoc />
    public void AddRecipient(EnvelopeRecipient recipient) => _recipients.Add(recipient);

    /// <inheritdoc />
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_status != CleanupStatus.Queued || bytes.IsEmpty)
        {
            return;
        }

        _received += bytes.Length;
        if (IsTooLarge())
        {
            return;
        }

        try
        {
            await TakeAsync(bytes, cancellationToken);
        }
        catch (IOException e)
        {
            _status = Failed(e);
        }
    }

    /// <inheritdoc />
    public async ValueTask<CleanupStatus> FinishAsync(CancellationToken cancellationToken)
    {
        if (_status != CleanupStatus.Queued)
        {
            return _status;
        }

        try
        {
            _status = await EndContentAsync(cancellationToken);
            if (_status == CleanupStatus.Queued)
            {
                _status = await QueueAsync(cancellationToken);
            }
        }
        catch (IOException e)
        {
            _status = Failed(e);
        }

        return _status;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _headers?.Dispose();
        _headers = null;
        _writer?.Dispose();
        _writer = null;
    }

    // smtpd counts what the client sends, without the trace header that it adds; maildrop files have nobody else to count. But
    // addresses that are completed make a message larger than it came, many times where they are short.
    private bool IsTooLarge()
    {
        long limit = _service.Settings.MessageSizeLimit;
        bool isMaildrop = _envelope.Origin.Protocol.Length == 0;
        if (!_completes || limit <= 0 || ((!isMaildrop || _received <= limit) && _received + _headersGrown <= limit + MostAdded))
        {
            return false;
        }

        _service.Log.Warning($"{_envelope.QueueId}: queue file size limit exceeded");
        _status = CleanupStatus.TooLarge;
        return true;
    }

    private CleanupStatus Failed(IOException e)
    {
        CleanupStatus status = (e.HResult & 0xffff) == OutOfSpace ? CleanupStatus.NoSpace : CleanupStatus.WriteError;
        _service.Log.Warning($"{_envelope.QueueId}: write queue file: {e.Message}");
        return status;
    }

    private async ValueTask TakeAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_headers is { IsComplete: false } headers)
        {
            int read = 0;
            while (read < bytes.Length && !headers.IsComplete)
            {
                // In steps, so that the collected output stays small however large the block is.
                int step = Math.Min(bytes.Length - read, 16384);
                int taken = headers.Read(bytes.Span.Slice(read, step));
                read += taken;
                _headersGrown -= taken;
                if (headers.ShouldDrain)
                {
                    await DrainAsync(headers, cancellationToken);
                    if (IsTooLarge())
                    {
                        return;
                    }
                }
            }

            if (!headers.IsComplete)
            {
                return;
            }

            await EndHeadersAsync(headers, cancellationToken);
            bytes = bytes[read..];
        }

        if (!bytes.IsEmpty && _status == CleanupStatus.Queued)
        {
            await WriteBodyAsync(bytes, cancellationToken);
        }
    }

    private async ValueTask DrainAsync(HeaderFilter headers, CancellationToken cancellationToken)
    {
        _headersGrown += headers.Output.Length;
        await _writer!.WriteAsync(headers.Output, cancellationToken);
        headers.Clear();
    }

    private async ValueTask EndHeadersAsync(HeaderFilter headers, CancellationToken cancellationToken)
    {
        if ((_options & CleanupOptions.HopCount) != 0 && headers.Hops >= _service.Settings.HopCountLimit)
        {
            _service.Log.Warning($"{_envelope.QueueId}: message rejected: hopcount exceeded");
            _status = CleanupStatus.TooManyHops;
            return;
        }

        AddMissingHeaders(headers);
        string? resent = headers.ResentMessageId;
        if (resent is not null)
        {
            _service.Log.Info($"{_envelope.QueueId}: resent-message-id={resent}");
        }

        if (headers.MessageId is { } id || resent is null)
        {
            _service.Log.Info($"{_envelope.QueueId}: message-id={headers.MessageId ?? _generatedMessageId ?? "<>"}");
        }

        headers.Append("\r\n"u8);
        await DrainAsync(headers, cancellationToken);
        if (!IsTooLarge() && headers.FirstBodyLine is { } line)
        {
            await WriteBodyAsync(line, cancellationToken);
        }
    }

    private string? _generatedMessageId;

    // In Postfix's order, after the headers that came.
    private void AddMissingHeaders(HeaderFilter headers)
    {
        if (_options == CleanupOptions.None || !(_completes || _service.Settings.AlwaysAddMissingHeaders))
        {
            return;
        }

        string prefix = headers.IsResent ? "Resent-" : "";
        DateTimeOffset now = _envelope.Arrival;
        if (!headers.Has(headers.IsResent ? HeaderKind.ResentMessageId : HeaderKind.MessageId))
        {
            string stamp = now.UtcDateTime.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
            string id = $"<{stamp}.{_envelope.QueueId}@{_service.Settings.MyHostName}>";
            headers.Add($"{prefix}Message-Id: {id}\r\n");
            _generatedMessageId = id;
        }

        if (!headers.Has(headers.IsResent ? HeaderKind.ResentDate : HeaderKind.Date))
        {
            headers.Add($"{prefix}Date: {MailDate.Format(now, _service.Time.LocalTimeZone)}\r\n");
        }

        if (!headers.Has(headers.IsResent ? HeaderKind.ResentFrom : HeaderKind.From))
        {
            headers.Add($"{prefix}From: {FromText()}\r\n");
        }

        if (_service.Settings.UndisclosedRecipientsHeader.Length > 0
            && !headers.Has(HeaderKind.To) && !headers.Has(HeaderKind.Cc) && !headers.Has(HeaderKind.Bcc)
            && !headers.Has(HeaderKind.ResentTo) && !headers.Has(HeaderKind.ResentCc) && !headers.Has(HeaderKind.ResentBcc))
        {
            headers.Add(_service.Settings.UndisclosedRecipientsHeader + "\r\n");
        }
    }

    private string FromText()
    {
        if (_envelope.Sender.Length == 0)
        {
            return $"MAILER-DAEMON@{_service.Settings.MyHostName} (Mail Delivery System)";
        }

        string address = AddressText.ToExternal(_service.Rewriter.Rewrite(_envelope.Sender));
        return _envelope.SenderFullName.Length == 0 ? address : $"{DisplayName.Format(_envelope.SenderFullName)} <{address}>";
    }

    private async ValueTask WriteBodyAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_service.Settings.ReplaceStrayCr && (_pendingCr || MayHaveStrayCr(bytes.Span)))
        {
            await WriteWithoutStrayCrAsync(bytes, cancellationToken);
            return;
        }

        _lastByte = bytes.Span[^1];
        await _writer!.WriteAsync(bytes, cancellationToken);
    }

    // Every LF here has its CR: as many of the one as of the other means that none is astray. Counting is many times as fast as
    // looking at each.
    private static bool MayHaveStrayCr(ReadOnlySpan<byte> bytes) =>
        bytes[0] == '\n' || bytes[^1] == '\r' || bytes.Count((byte)'\r') != bytes.Count((byte)'\n');

    // A CR before LF stays; any other becomes a blank. A CR at the end of a block waits for the next.
    private async ValueTask WriteWithoutStrayCrAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_pendingCr)
        {
            _pendingCr = false;
            await _writer!.WriteAsync(bytes.Span[0] == '\n' ? CarriageReturn : Blank, cancellationToken);
        }

        int start = 0;
        int search = 0;
        while (search < bytes.Length)
        {
            int found = bytes.Span[search..].IndexOf((byte)'\r');
            if (found < 0)
            {
                break;
            }

            int at = search + found;
            if (at + 1 == bytes.Length)
            {
                await _writer!.WriteAsync(bytes[start..at], cancellationToken);
                _pendingCr = true;
                _lastByte = (byte)'\r';
                return;
            }

            search = at + 1;
            if (bytes.Span[at + 1] != '\n')
            {
                await _writer!.WriteAsync(bytes[start..at], cancellationToken);
                await _writer.WriteAsync(Blank, cancellationToken);
                start = at + 1;
            }
        }

        if (start < bytes.Length)
        {
            await _writer!.WriteAsync(bytes[start..], cancellationToken);
        }

        _lastByte = bytes.Span[^1];
    }

    private static readonly ReadOnlyMemory<byte> CarriageReturn = new byte[] { (byte)'\r' };
    private static readonly ReadOnlyMemory<byte> Blank = new byte[] { (byte)' ' };
    private static readonly ReadOnlyMemory<byte> LineEnd = new byte[] { (byte)'\r', (byte)'\n' };

    private async ValueTask<CleanupStatus> EndContentAsync(CancellationToken cancellationToken)
    {
        if (_headers is { IsComplete: false } headers)
        {
            headers.End();
            await EndHeadersAsync(headers, cancellationToken);
            if (_status != CleanupStatus.Queued)
            {
                return _status;
            }
        }

        if (_pendingCr)
        {
            _pendingCr = false;
            await _writer!.WriteAsync(Blank, cancellationToken);
        }

        // The last line without an end gets one: content is made of lines.
        if (_lastByte is not 0 and not (byte)'\n')
        {
            await _writer!.WriteAsync(LineEnd, cancellationToken);
        }

        return CleanupStatus.Queued;
    }

    private async ValueTask<CleanupStatus> QueueAsync(CancellationToken cancellationToken)
    {
        RecipientList list = new(_service, _options);
        foreach (EnvelopeRecipient recipient in _recipients)
        {
            if (!await list.AddAsync(_envelope.QueueId, recipient, cancellationToken))
            {
                return CleanupStatus.TableError;
            }
        }

        if (list.Recipients.Count == 0)
        {
            return CleanupStatus.Discarded;
        }

        MessageContent content = await _writer!.CompleteAsync();
        Envelope envelope = _envelope with { Recipients = list.Recipients, Size = content.Length };
        StoreStatus stored = StoreStatus.Failed;
        try
        {
            stored = await _service.Store.AppendAsync(envelope, content, cancellationToken);
        }
        finally
        {
            // Only a stored message's content belongs to the store.
            if (stored != StoreStatus.Stored)
            {
                content.Dispose();
            }
        }

        if (stored == StoreStatus.Stored)
        {
            _service.Queue.Arrived(envelope.QueueId);
        }

        return stored switch
        {
            StoreStatus.Stored => CleanupStatus.Queued,
            StoreStatus.NoSpace => CleanupStatus.NoSpace,
            StoreStatus.Duplicate => CleanupStatus.Duplicate,
            _ => CleanupStatus.WriteError,
        };
    }
}
