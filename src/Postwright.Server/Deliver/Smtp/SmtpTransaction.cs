using System.Buffers;
using System.Globalization;
using System.Text;
using Postwright.Protocol.Smtp;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// One message over one session: MAIL, RCPT, DATA, content, and what the server says to each. Pipelines where the server can.
/// Returns null when the conversation came to its end, else the failure that broke it off; recipients without a verdict are
/// then still open. A reply that is lost after the final dot leaves its recipients delayed, for a later attempt, not for the
/// next exchanger: the message may have arrived. For the same reason a stop ends it at once only until the content is sent; from
/// then on it waits for the verdict until <see cref="DeliveryRequest.GiveUp"/>.
/// </summary>
internal sealed class SmtpTransaction(
    SmtpClientOptions options, SmtpSession session, DeliveryRequest request, RecipientOutcomes outcomes, TimeProvider timeProvider)
{
    private const int ContentChunk = 32 * 1024;

    private readonly List<int> _accepted = [];
    private readonly bool _pipelining = session.Features.HasFlag(ServerFeatures.Pipelining);
    private readonly long _begun = timeProvider.GetTimestamp();

    /// <summary>Time from the request until the session was ready (the third of delays=).</summary>
    public TimeSpan Setup { get; init; }

    /// <summary>True if nothing was answered: a cached connection that had died can be replaced without a trace.</summary>
    public bool NothingHappened { get; private set; } = true;

    public async ValueTask<SessionFailure?> RunAsync(CancellationToken cancellationToken)
    {
        if (session.SizeLimit > 0 && request.Content.Length > session.SizeLimit)
        {
            foreach (int position in outcomes.Open)
            {
                outcomes.Decide(position, Result(position, DeliveryStatus.Bounced, "5.3.4",
                    $"message size {request.Content.Length} exceeds size limit {session.SizeLimit} of server {session.Exchanger.NameWithoutPort}", null));
            }

            return null;
        }

        if (await MustRefuseUtf8Async(cancellationToken))
        {
            return null;
        }

        return await SendEnvelopeAsync(cancellationToken) ?? (_accepted.Count > 0 ? await SendContentAsync(request.GiveUp) : null);
    }

    private async ValueTask<bool> MustRefuseUtf8Async(CancellationToken cancellationToken)
    {
        if (!request.Envelope.Encoding.HasFlag(MessageEncoding.SmtpUtf8) || session.Features.HasFlag(ServerFeatures.SmtpUtf8)
            || !await NeedsUtf8Async(cancellationToken))
        {
            return false;
        }

        foreach (int position in outcomes.Open)
        {
            outcomes.Decide(position, Result(position, DeliveryStatus.Bounced, "5.6.7",
                $"SMTPUTF8 is required, but was not offered by host {session.Exchanger.NameWithoutPort}", null));
        }

        return true;
    }

    private async ValueTask<bool> NeedsUtf8Async(CancellationToken cancellationToken)
    {
        if (!Ascii.IsValid(request.Envelope.Sender) || request.Recipients.Any(recipient => !Ascii.IsValid(recipient.Address)))
        {
            return true;
        }

        byte[] scratch = ArrayPool<byte>.Shared.Rent(ContentChunk);
        try
        {
            int count = await request.Content.ReadAsync(0, scratch, cancellationToken);
            ReadOnlySpan<byte> head = scratch.AsSpan(0, count);
            int end = head.IndexOf("\r\n\r\n"u8);
            return !Ascii.IsValid(end < 0 ? head : head[..end]);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    private async ValueTask<SessionFailure?> SendEnvelopeAsync(CancellationToken cancellationToken)
    {
        session.Commands.ResetWrittenCount();
        bool reset = session.NeedsReset;
        if (reset)
        {
            session.Commands.Write("RSET\r\n"u8);
        }

        SmtpEnvelopeCommands.WriteMail(session.Commands, request.Envelope, session.Features, request.Content.Length);
        if (_pipelining)
        {
            foreach (int position in outcomes.Open)
            {
                SmtpEnvelopeCommands.WriteRcpt(session.Commands, request.Recipients[position], session.Features);
            }

            session.Commands.Write("DATA\r\n"u8);
        }

        if (await SendCommandsAsync(options.MailTimeout, cancellationToken) is var sent and not ConversationStatus.Answered)
        {
            return session.Broken(sent, reset ? "sending RSET" : "sending MAIL FROM");
        }

        if (reset && await session.Conversation.ReadReplyAsync(options.RsetTimeout, cancellationToken) is { Status: not ConversationStatus.Answered } lost)
        {
            return session.Broken(lost.Status, "sending RSET");
        }

        ServerReply mail = await session.Conversation.ReadReplyAsync(options.MailTimeout, cancellationToken);
        if (mail.Status != ConversationStatus.Answered || (mail.Code == 421 && session.Uses > 1))
        {
            return session.Broken(mail.Status, "sending MAIL FROM");
        }

        NothingHappened = false;
        session.NeedsReset = true;
        if (!mail.IsPositive)
        {
            foreach (int position in outcomes.Open)
            {
                Refuse(position, mail, "MAIL FROM command");
            }
        }

        return await FinishEnvelopeAsync(mail.IsPositive, cancellationToken);
    }

    private async ValueTask<SessionFailure?> FinishEnvelopeAsync(bool mailAccepted, CancellationToken cancellationToken)
    {
        if (!mailAccepted && !_pipelining)
        {
            return null;
        }

        foreach (int position in outcomes.Open)
        {
            if (!_pipelining)
            {
                session.Commands.ResetWrittenCount();
                SmtpEnvelopeCommands.WriteRcpt(session.Commands, request.Recipients[position], session.Features);
                if (await SendCommandsAsync(options.RcptTimeout, cancellationToken) is var sent and not ConversationStatus.Answered)
                {
                    return session.Broken(sent, "sending RCPT TO");
                }
            }

            ServerReply reply = await session.Conversation.ReadReplyAsync(options.RcptTimeout, cancellationToken);
            if (reply.Status != ConversationStatus.Answered)
            {
                return session.Broken(reply.Status, "sending RCPT TO");
            }

            if (!mailAccepted)
            {
                continue;
            }

            if (reply.IsPositive)
            {
                _accepted.Add(position);
            }
            else
            {
                Refuse(position, reply, "RCPT TO command");
            }
        }

        return await StartDataAsync(cancellationToken);
    }

    private async ValueTask<SessionFailure?> StartDataAsync(CancellationToken cancellationToken)
    {
        if (!_pipelining)
        {
            if (_accepted.Count == 0)
            {
                return null;
            }

            session.Commands.ResetWrittenCount();
            session.Commands.Write("DATA\r\n"u8);
            if (await SendCommandsAsync(options.DataInitTimeout, cancellationToken) is var sent and not ConversationStatus.Answered)
            {
                return session.Broken(sent, "sending DATA command");
            }
        }

        ServerReply data = await session.Conversation.ReadReplyAsync(options.DataInitTimeout, cancellationToken);
        if (data.Status != ConversationStatus.Answered)
        {
            return session.Broken(data.Status, "sending DATA command");
        }

        bool goAhead = data.Code / 100 == 3;
        if (goAhead && _accepted.Count == 0)
        {
            // A server that takes DATA without a recipient gets an empty message, which it cannot deliver to anyone.
            return await EndEmptyDataAsync(cancellationToken);
        }

        if (!goAhead)
        {
            foreach (int position in _accepted)
            {
                Refuse(position, data, "DATA command");
            }

            _accepted.Clear();
        }

        return null;
    }

    private async ValueTask<SessionFailure?> EndEmptyDataAsync(CancellationToken cancellationToken)
    {
        session.Commands.ResetWrittenCount();
        session.Commands.Write(".\r\n"u8);
        if (await SendCommandsAsync(options.DataDoneTimeout, cancellationToken) is var sent and not ConversationStatus.Answered)
        {
            return session.Broken(sent, "sending end of data");
        }

        ServerReply reply = await session.Conversation.ReadReplyAsync(options.DataDoneTimeout, cancellationToken);
        return reply.Status == ConversationStatus.Answered ? null : session.Broken(reply.Status, "sending end of data");
    }

    private async ValueTask<SessionFailure?> SendContentAsync(CancellationToken cancellationToken)
    {
        DataEncoder encoder = new(options.LineLengthLimit);
        byte[] encoded = ArrayPool<byte>.Shared.Rent(DataEncoder.MaxEncoded(ContentChunk) + 5);
        byte[]? scratch = null;
        try
        {
            bool inMemory = request.Content.TryGetMemory(out ReadOnlyMemory<byte> all);
            scratch = inMemory ? null : ArrayPool<byte>.Shared.Rent(ContentChunk);
            for (long offset = 0; ;)
            {
                int count;
                int length;
                if (inMemory)
                {
                    count = (int)Math.Min(ContentChunk, all.Length - offset);
                    length = encoder.Encode(all.Span.Slice((int)offset, count), encoded);
                }
                else
                {
                    count = await request.Content.ReadAsync(offset, scratch.AsMemory(0, ContentChunk), cancellationToken);
                    length = encoder.Encode(scratch.AsSpan(0, count), encoded);
                }

                offset += count;
                bool last = offset >= request.Content.Length || count == 0;
                if (count == 0 && offset < request.Content.Length)
                {
                    // The final dot must not make a whole message out of half of one.
                    session.Conversation.MarkBroken();
                    return new SessionFailure("4.3.0", "message content ended early", true);
                }

                length += last ? encoder.Finish(encoded.AsSpan(length)) : 0;
                ConversationStatus sent = await session.Conversation.SendAsync(encoded.AsMemory(0, length), options.DataXferTimeout, cancellationToken);
                if (sent != ConversationStatus.Answered)
                {
                    return session.Broken(sent, "sending message body");
                }

                if (last)
                {
                    return await ReadVerdictsAsync(cancellationToken);
                }
            }
        }
        catch (IOException)
        {
            session.Conversation.MarkBroken();
            return new SessionFailure("4.3.0", "error reading message content", true);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(encoded);
            if (scratch is not null)
            {
                ArrayPool<byte>.Shared.Return(scratch);
            }
        }
    }

    private async ValueTask<SessionFailure?> ReadVerdictsAsync(CancellationToken cancellationToken)
    {
        ServerReply reply = default;
        for (int i = 0; i < _accepted.Count; i++)
        {
            if (i == 0 || options.IsLmtp)
            {
                reply = await session.Conversation.ReadReplyAsync(options.DataDoneTimeout, cancellationToken);
            }

            if (reply.Status != ConversationStatus.Answered)
            {
                SessionFailure lost = session.Broken(reply.Status, "sending end of data -- message may be sent more than once");
                foreach (int position in _accepted.Skip(i))
                {
                    outcomes.Decide(position, Result(position, DeliveryStatus.Deferred, lost.Dsn, lost.Reason, null) with { SiteFailure = true });
                }

                return lost;
            }

            if (reply.IsPositive)
            {
                RecipientResult sent = Result(_accepted[i], DeliveryStatus.Sent, reply.Dsn, reply.Quoted, null);
                SuccessReport report = session.Features.HasFlag(ServerFeatures.Dsn) ? SuccessReport.PassedOn : SuccessReport.Relayed;
                outcomes.Decide(_accepted[i], sent with { RemoteMta = session.Exchanger.Host, Diagnostic = "smtp; " + reply.Quoted, Success = report });
            }
            else
            {
                Refuse(_accepted[i], reply, "end of DATA command");
            }
        }

        session.NeedsReset = false;
        return null;
    }

    private async ValueTask<ConversationStatus> SendCommandsAsync(TimeSpan timeout, CancellationToken cancellationToken) =>
        await session.Conversation.SendAsync(session.Commands.WrittenMemory, timeout, cancellationToken);

    private void Refuse(int position, ServerReply reply, string command)
    {
        string reason = $"host {session.Exchanger.NameWithoutPort} said: {reply.Quoted} (in reply to {command})";
        RecipientResult result = Result(position, reply.IsPermanent ? DeliveryStatus.Bounced : DeliveryStatus.Deferred, reply.Dsn, reason, reply.Quoted);
        if (reply.IsPermanent)
        {
            outcomes.Decide(position, result);
        }
        else
        {
            outcomes.Delay(position, result);
        }
    }

    private RecipientResult Result(int position, DeliveryStatus status, string dsn, string reason, string? serverText) =>
        new(outcomes.IndexOf(position), status, dsn, reason, session.Exchanger.Name)
        {
            RemoteMta = serverText is null ? null : session.Exchanger.Host,
            Diagnostic = serverText is null ? null : string.Create(CultureInfo.InvariantCulture, $"smtp; {serverText}"),
            Setup = Setup,
            Transfer = timeProvider.GetElapsedTime(_begun),
            ConnectionUses = session.Uses,
        };
}
