using System.Text;
using Postwright.Core.Logging;
using Postwright.Protocol.Mail;

namespace Postwright.Server.Deliver;

// The line that every log analyser reads:
//
//   QUEUEID: to=<a>, orig_to=<b>, relay=c, conn_use=2, delay=1.2, delays=0.1/0/0.5/0.6, dsn=2.0.0, status=sent (text)
//
// orig_to only where it differs (case apart), conn_use only above 1. delays: before the queue manager, in it, connection
// set-up, transmission. One place for all transports, so that no agent has a format of its own.

/// <summary>Writes one line per recipient of a delivery, under the transport's tag.</summary>
public sealed class DeliveryLog(TimeProvider time, int delayDecimals, bool softBounce)
{
    private const int SignificantDigits = 2;

    [ThreadStatic]
    private static StringBuilder? _buffer;

    /// <summary>Logs <paramref name="results"/> of <paramref name="request"/>.</summary>
    /// <param name="log">The transport's.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="results">What was answered; indices that were not asked for are passed over.</param>
    public void Write(MailLog log, DeliveryRequest request, IReadOnlyList<RecipientResult> results)
    {
        DateTimeOffset now = time.GetUtcNow();
        for (int i = 0; i < results.Count; i++)
        {
            RecipientResult result = results[i];

            // The members of an alias are logged as they are delivered; the alias itself only where it left as another message.
            if (result.Status != DeliveryStatus.Expanded && Find(request, result.Index) is { } recipient)
            {
                log.Info(Line(request, recipient, result, now));
            }
        }
    }

    /// <summary>The line's text, without tag.</summary>
    internal string Line(DeliveryRequest request, DeliveryRecipient recipient, RecipientResult result, DateTimeOffset now)
    {
        TimeSpan transfer = result.Setup == TimeSpan.Zero && result.Transfer == TimeSpan.Zero ? now - request.Started : result.Transfer;
        Delays delays = new(request.Activated - request.Envelope.Arrival, request.Started - request.Activated, result.Setup, transfer);
        return Line(request.Envelope.QueueId, result.LoggedAddress ?? recipient.Address, recipient.Recipient.OriginalAddress, delays, result);
    }

    /// <summary>The line's text for one recipient.</summary>
    internal string Line(string queueId, string address, string originalAddress, Delays delays, RecipientResult result)
    {
        StringBuilder text = _buffer ??= new StringBuilder(512);
        text.Clear().Append(queueId).Append(": to=<");
        text.Append(AddressText.ToExternal(address));
        text.Append('>');
        if (originalAddress.Length > 0 && !string.Equals(address, originalAddress, StringComparison.OrdinalIgnoreCase))
        {
            text.Append(", orig_to=<");
            text.Append(AddressText.ToExternal(originalAddress));
            text.Append('>');
        }

        text.Append(", relay=").Append(result.Relay);
        if (result.ConnectionUses > 1)
        {
            text.Append(", conn_use=").Append(result.ConnectionUses);
        }

        text.Append(", delay=");
        DelayText.Append(text, delays.Total, SignificantDigits, delayDecimals);
        text.Append(", delays=");
        DelayText.Append(text, delays.Before, SignificantDigits, delayDecimals);
        text.Append('/');
        DelayText.Append(text, delays.InQueue, SignificantDigits, delayDecimals);
        text.Append('/');
        DelayText.Append(text, delays.Setup, SignificantDigits, delayDecimals);
        text.Append('/');
        DelayText.Append(text, delays.Transfer, SignificantDigits, delayDecimals);
        text.Append(", dsn=").Append(result.Dsn).Append(", status=").Append(Word(result.Status));
        text.Append(" (").Append(result.Reason).Append(')');
        return text.ToString();
    }

    private string Word(DeliveryStatus status) => status switch
    {
        DeliveryStatus.Sent or DeliveryStatus.Expanded => "sent",
        DeliveryStatus.Deferred => "deferred",
        _ => softBounce ? "SOFTBOUNCE" : "bounced",
    };

    private static DeliveryRecipient? Find(DeliveryRequest request, int index)
    {
        IReadOnlyList<DeliveryRecipient> recipients = request.Recipients;
        for (int i = 0; i < recipients.Count; i++)
        {
            if (recipients[i].Index == index)
            {
                return recipients[i];
            }
        }

        return null;
    }
}

/// <summary>The four parts of <c>delays=</c>.</summary>
internal readonly record struct Delays(TimeSpan Before, TimeSpan InQueue, TimeSpan Setup, TimeSpan Transfer)
{
    public TimeSpan Total => Before + InQueue + Setup + Transfer;
}
