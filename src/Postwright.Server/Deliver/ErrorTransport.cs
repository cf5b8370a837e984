
namespace Postwright.Server.Deliver;

/// <summary>
/// error(8): bounces every recipient with the next hop as reason; under the service name <c>retry</c> it defers instead.
/// The reason may begin with a status code of the right class, else 5.0.0 or 4.0.0 stands in.
/// </summary>
public sealed class ErrorTransport(bool isRetry) : IDeliveryAgent, IImmediateDelivery
{
    /// <inheritdoc />
    public ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        DeliveryStatus status = isRetry ? DeliveryStatus.Deferred : DeliveryStatus.Bounced;
        (string dsn, string reason) = StatusCode.Split(request.NextHop, isRetry ? "4.0.0" : "5.0.0");

        // The service decides between deferring and bouncing, so a code of another class is brought into line.
        dsn = (isRetry ? '4' : '5') + dsn[1..];
        RecipientResult[] results = new RecipientResult[request.Recipients.Count];
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = new RecipientResult(request.Recipients[i].Index, status, dsn, reason, "none");
        }

        return ValueTask.FromResult<IReadOnlyList<RecipientResult>>(results);
    }
}

/// <summary>A delivery that touches neither network nor disk: the queue manager runs it in its own turn.</summary>
internal interface IImmediateDelivery;

/// <summary>Texts that begin with an enhanced status code (RFC 3463, 2).</summary>
internal static class StatusCode
{
    /// <summary>Parts <paramref name="text"/> into its code, or <paramref name="fallback"/>, and the rest.</summary>
    public static (string Code, string Text) Split(string text, string fallback)
    {
        int length = Length(text);
        return length == 0 ? (fallback, text) : (text[..length], text[length..].TrimStart(' ', '\t'));
    }

    private static int Length(string text)
    {
        if (text.Length < 5 || text[0] is not ('2' or '4' or '5') || text[1] != '.')
        {
            return 0;
        }

        int subject = Digits(text, 2);
        if (subject == 0 || 2 + subject >= text.Length || text[2 + subject] != '.')
        {
            return 0;
        }

        int detail = Digits(text, 3 + subject);
        int end = 3 + subject + detail;
        return detail == 0 || (end < text.Length && text[end] is not (' ' or '\t')) ? 0 : end;
    }

    private static int Digits(string text, int start)
    {
        int count = 0;
        while (count < 3 && start + count < text.Length && char.IsAsciiDigit(text[start + count]))
        {
            count++;
        }

        return count;
    }
}
