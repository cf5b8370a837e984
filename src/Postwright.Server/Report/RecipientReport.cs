using Postwright.Server.Deliver;
using Postwright.Server.Queue;

namespace Postwright.Server.Report;

/// <summary>A recipient's result, kept until the end of the round for notices and the record of the delay.</summary>
/// <param name="Recipient">Envelope row.</param>
/// <param name="Address">The address that was tried.</param>
/// <param name="Result">What happened.</param>
internal sealed record RecipientReport(EnvelopeRecipient Recipient, string Address, RecipientResult Result)
{
    /// <summary>Does the sender want to hear of a failure?</summary>
    public bool WantsFailure => Recipient.Notify == DsnNotify.Unspecified || Recipient.Notify.HasFlag(DsnNotify.Failure);

    /// <summary>Of a delay?</summary>
    public bool WantsDelay => Recipient.Notify == DsnNotify.Unspecified || Recipient.Notify.HasFlag(DsnNotify.Delay);

    /// <summary>Of a success that no other server reports?</summary>
    public bool WantsSuccess => Recipient.Notify.HasFlag(DsnNotify.Success) && Result.Success != SuccessReport.PassedOn;
}
