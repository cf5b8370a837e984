using Postwright.Core.Configuration.Bounce;
using Postwright.Core.Logging;
using Postwright.Protocol.Dsn;
using Postwright.Protocol.Mail;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;

namespace Postwright.Server.Report;

// bounce(8), defer(8) and trace(8): tells senders and postmasters what became of mail. Each method completes once the notice
// is durable, and answers false if it could not be kept: then its cause must not be forgotten. Who gets a notice:
//
//   failed mail with a sender          the sender (from the null sender); with class "bounce" postmaster a copy
//   failed mail of the null sender     with class "2bounce" (or "bounce") postmaster, from double-bounce; else nobody
//   failed mail from double-bounce     nobody, with a warning: this is where loops end
//
// Copies for postmaster are not worth a second attempt: their failure is logged and forgotten.

/// <summary>Makes notices; safe for any number of callers.</summary>
internal sealed class Notices(ReportOptions options, IMessageStore store, ICleanup cleanup, TimeProvider time, MailLog log)
{
    private readonly MailLog _log = log.For("bounce", log.Number);

    /// <summary>True when failed mail of this sender is told to nobody, so that no content need be read for it.</summary>
    public bool TellsNobody(string sender) => sender.Length == 0 && options.DoubleBounceTo is null;

    /// <summary>Returns mail.</summary>
    public async ValueTask<bool> FailedAsync(
        Envelope envelope, MessageContent content, IReadOnlyList<RecipientReport> recipients, CancellationToken cancellationToken)
    {
        if (IsOwn(envelope.Sender))
        {
            _log.Warning($"{envelope.QueueId}: undeliverable postmaster notification discarded");
            return true;
        }

        if (envelope.Sender.Length == 0)
        {
            return options.DoubleBounceTo is not { } postmaster
                || await SendAsync(Copy(envelope, ReportKind.Failure, postmaster, full: true), content, recipients, cancellationToken);
        }

        List<RecipientReport> wanted = [.. recipients.Where(recipient => recipient.WantsFailure)];
        if (wanted.Count > 0)
        {
            Notice notice = new(envelope, ReportKind.Failure, envelope.Sender, "sender", "non-delivery")
            {
                Introduction = options.TextOf(options.Templates.Failure),
                ReturnsMessage = envelope.Return != DsnReturn.Headers,
            };
            if (!await SendAsync(notice, content, wanted, cancellationToken))
            {
                return false;
            }
        }

        if (options.BounceCopyTo is { } copyTo)
        {
            await SendAsync(Copy(envelope, ReportKind.Failure, copyTo, full: false), content, recipients, cancellationToken);
        }

        return true;
    }

    /// <summary>Warns of a delay of <paramref name="age"/>, one of delay_warning_time's.</summary>
    public async ValueTask<bool> DelayedAsync(
        Envelope envelope, MessageContent content, IReadOnlyList<RecipientReport> recipients, TimeSpan age, CancellationToken cancellationToken)
    {
        if (envelope.Sender.Length == 0 || IsOwn(envelope.Sender))
        {
            return true;
        }

        List<RecipientReport> wanted = [.. recipients.Where(recipient => recipient.WantsDelay)];
        if (wanted.Count > 0)
        {
            Notice notice = new(envelope, ReportKind.Delay, envelope.Sender, "sender", "delay")
            {
                Introduction = options.TextOf(options.Templates.Delay, age),
            };
            if (!await SendAsync(notice, content, wanted, cancellationToken))
            {
                return false;
            }
        }

        if (options.DelayCopyTo is { } copyTo)
        {
            await SendAsync(Copy(envelope, ReportKind.Delay, copyTo, full: false), content, recipients, cancellationToken);
        }

        return true;
    }

    /// <summary>Tells of deliveries whose sender asked for it.</summary>
    public async ValueTask<bool> SucceededAsync(
        Envelope envelope, MessageContent content, IReadOnlyList<RecipientReport> recipients, CancellationToken cancellationToken)
    {
        Notice notice = new(envelope, ReportKind.Success, envelope.Sender, "sender", "delivery status")
        {
            Introduction = options.TextOf(options.Templates.Success),
        };
        return envelope.Sender.Length == 0 || await SendAsync(notice, content, recipients, cancellationToken);
    }

    private bool IsOwn(string sender) => string.Equals(sender, options.DoubleBounceSender, StringComparison.OrdinalIgnoreCase);

    /// <summary>A notice to be made; who and what are the words of its log line.</summary>
    private sealed record Notice(Envelope Envelope, ReportKind Kind, string To, string Who, string What)
    {
        public string Sender { get; init; } = "";

        public byte[] Introduction { get; init; } = [];

        public bool ReturnsMessage { get; init; }

        public bool IsPostmasterCopy { get; init; }
    }

    private Notice Copy(Envelope envelope, ReportKind kind, string to, bool full) =>
        new(envelope, kind, to, "postmaster", kind == ReportKind.Delay ? "delay" : "non-delivery")
        {
            Sender = options.DoubleBounceSender,
            ReturnsMessage = full,
            IsPostmasterCopy = true,
        };

    private async ValueTask<bool> SendAsync(
        Notice notice, MessageContent content, IReadOnlyList<RecipientReport> recipients, CancellationToken cancellationToken)
    {
        Envelope cause = notice.Envelope;
        DateTimeOffset now = time.GetUtcNow();
        Envelope envelope = new()
        {
            QueueId = store.NewQueueId(),
            Arrival = now,
            Sender = notice.Sender,
            Recipients = [],
            Origin = MessageOrigin.Local,
            Encoding = cause.Encoding & ~MessageEncoding.SevenBit,
            IsNotice = true,
        };
        if (options.TemplateTrouble is { } trouble)
        {
            _log.Warning($"{trouble}; the built-in templates are used");
        }

        _log.Info($"{cause.QueueId}: {notice.Who} {notice.What} notification: {envelope.QueueId}");
        string failure;
        try
        {
            DeliveryReport report = Report(notice, envelope.QueueId, recipients, now);
            using ICleanupMessage message = cleanup.Begin(envelope, CleanupOptions.VirtualAliases);
            message.AddRecipient(new EnvelopeRecipient(notice.To, notice.To));
            await message.WriteAsync(Header(notice, envelope.QueueId, now), cancellationToken);
            await message.WriteAsync(report.Head(), cancellationToken);
            await ReturnedContent.CopyAsync(message, content, report.HeadersOnly, cancellationToken);
            await message.WriteAsync(report.Tail(), cancellationToken);
            CleanupStatus status = await message.FinishAsync(cancellationToken);
            if (status is CleanupStatus.Queued or CleanupStatus.Discarded)
            {
                return true;
            }

            failure = status.ToString();
        }
        catch (IOException error)
        {
            failure = error.Message;
        }

        _log.Info($"{cause.QueueId}: {notice.Who} notification failed to <{AddressText.ToExternal(notice.To)}>: {failure}");
        return false;
    }

    private DeliveryReport Report(Notice notice, string queueId, IReadOnlyList<RecipientReport> recipients, DateTimeOffset now)
    {
        Envelope cause = notice.Envelope;
        string stamp = now.UtcDateTime.ToString("yyyyMMddHHmmss", System.Globalization.CultureInfo.InvariantCulture);
        return new DeliveryReport
        {
            MessageId = $"<{stamp}.{queueId}@{options.MyHostName}>",
            Kind = notice.Kind,
            IsPostmasterCopy = notice.IsPostmasterCopy,
            Boundary = $"{cause.QueueId}.{now.ToUnixTimeSeconds()}/{options.MyHostName}",
            ReportingHost = options.MyHostName,
            MailName = options.MailName,
            QueueId = cause.QueueId,
            Sender = cause.Sender,
            EnvelopeId = cause.EnvelopeId,
            ArrivalDate = MailDate.Format(cause.Arrival, time.LocalTimeZone),
            RetryUntil = notice.Kind == ReportKind.Delay ? MailDate.Format(cause.Arrival + options.MaximalLifetime, time.LocalTimeZone) : "",
            Introduction = notice.Introduction,
            Charset = Charset(TemplateOf(notice)),
            IsInternational = cause.Encoding.HasFlag(MessageEncoding.SmtpUtf8),
            HeadersOnly = !notice.ReturnsMessage || cause.Size > options.SizeLimit,
            Recipients = [.. recipients.Select(recipient => Row(notice.Kind, recipient))],
        };
    }

    private static ReportedRecipient Row(ReportKind kind, RecipientReport report) => new(
        report.Address,
        report.Recipient.OriginalAddress,
        report.Recipient.DsnOriginalRecipient,
        Action(kind, report),
        report.Result.Dsn,
        kind == ReportKind.Success && report.Result.Relay != "none"
            ? $"delivery via {report.Result.Relay}: {report.Result.Reason}"
            : report.Result.Reason,
        report.Result.RemoteMta,
        report.Result.Diagnostic);

    private static string Action(ReportKind kind, RecipientReport report) => (kind, report.Result.Success) switch
    {
        (ReportKind.Failure, _) => "failed",
        (ReportKind.Delay, _) => "delayed",
        (_, Deliver.SuccessReport.Relayed) => "relayed",
        (_, Deliver.SuccessReport.Expanded) => "expanded",
        _ => "delivered",
    };

    private BounceTemplate TemplateOf(Notice notice) => notice.Kind switch
    {
        ReportKind.Failure => options.Templates.Failure,
        ReportKind.Delay => options.Templates.Delay,
        _ => options.Templates.Success,
    };

    /// <summary>What follows an ASCII text, addresses and replies, may be UTF-8.</summary>
    private static string Charset(BounceTemplate template)
        => template.Charset.Equals("us-ascii", StringComparison.OrdinalIgnoreCase) ? "utf-8" : template.Charset;

    private byte[] Header(Notice notice, string queueId, DateTimeOffset now)
    {
        BounceTemplate template = TemplateOf(notice);
        string date = MailDate.Format(now, time.LocalTimeZone);
        return System.Text.Encoding.UTF8.GetBytes(
            $"Received: by {options.MyHostName} ({options.MailName})\r\n\tid {queueId}; {date}\r\n"
            + $"Date: {date}\r\n"
            + $"From: {options.FromOf(template)}\r\n"
            + $"Subject: {(notice.IsPostmasterCopy ? template.PostmasterSubject : template.Subject)}\r\n"
            + $"To: {AddressText.ToExternal(notice.To)}\r\n"
            + $"Auto-Submitted: auto-{(notice.IsPostmasterCopy ? "generated" : "replied")}\r\n");
    }
}
