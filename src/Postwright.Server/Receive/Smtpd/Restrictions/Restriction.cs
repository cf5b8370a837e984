using Postwright.Core.Tables;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>The restrictions that work; every other name gets the server error.</summary>
internal enum RestrictionKind : byte
{
    Permit,
    Reject,
    Defer,
    DeferIfPermit,
    DeferIfReject,
    WarnIfReject,
    PermitMyNetworks,
    PermitInetInterfaces,
    PermitSaslAuthenticated,
    RejectUnauthPipelining,
    RejectUnauthDestination,
    DeferUnauthDestination,
    PermitAuthDestination,
    RejectUnlistedRecipient,
    RejectUnlistedSender,
    RejectNonFqdnSender,
    RejectNonFqdnRecipient,
    RejectNonFqdnHelo,
    RejectInvalidHelo,
    RejectUnknownClient,
    RejectUnknownReverseClient,
    RejectUnknownSenderDomain,
    RejectUnknownRecipientDomain,
    RejectMultiRecipientBounce,
    CheckClientAccess,
    CheckHeloAccess,
    CheckSenderAccess,
    CheckRecipientAccess,

    /// <summary>A list of its own (smtpd_restriction_classes).</summary>
    Class,

    /// <summary>Answers 451 4.3.5 and warns: unknown, not there yet, or without its argument. Nothing fails open.</summary>
    ServerError,
}

/// <summary>A restriction, ready to be asked.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Name">As configured.</param>
/// <param name="Maps">For the check_*_access kinds.</param>
/// <param name="Warning">For <see cref="RestrictionKind.ServerError"/>: what is logged.</param>
internal sealed record Restriction(RestrictionKind Kind, string Name, MapList? Maps = null, string? Warning = null);

/// <summary>Which list is being read: it decides what a bare <c>type:table</c> means.</summary>
internal enum RestrictionStage : byte
{
    Client,
    Helo,
    Sender,
    Recipient,
    Etrn,
    Data,
    EndOfData,
}
