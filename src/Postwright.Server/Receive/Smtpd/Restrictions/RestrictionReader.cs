using System.Collections.Frozen;
using Postwright.Core.Tables;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// Turns the text of a restriction list into restrictions. What cannot be understood becomes a restriction that answers with
/// the server error and is told in <see cref="Errors"/>, so that <c>postfix check</c> says it before a client does.
/// </summary>
internal sealed class RestrictionReader(TableRegistry tables, IReadOnlySet<string> classes)
{
    private static readonly FrozenDictionary<string, RestrictionKind> Names = new Dictionary<string, RestrictionKind>
    {
        ["permit"] = RestrictionKind.Permit,
        ["reject"] = RestrictionKind.Reject,
        ["defer"] = RestrictionKind.Defer,
        ["defer_if_permit"] = RestrictionKind.DeferIfPermit,
        ["defer_if_reject"] = RestrictionKind.DeferIfReject,
        ["warn_if_reject"] = RestrictionKind.WarnIfReject,
        ["permit_mynetworks"] = RestrictionKind.PermitMyNetworks,
        ["permit_inet_interfaces"] = RestrictionKind.PermitInetInterfaces,
        ["permit_sasl_authenticated"] = RestrictionKind.PermitSaslAuthenticated,
        ["reject_unauth_pipelining"] = RestrictionKind.RejectUnauthPipelining,
        ["reject_unauth_destination"] = RestrictionKind.RejectUnauthDestination,
        ["defer_unauth_destination"] = RestrictionKind.DeferUnauthDestination,
        ["permit_auth_destination"] = RestrictionKind.PermitAuthDestination,
        ["reject_unlisted_recipient"] = RestrictionKind.RejectUnlistedRecipient,
        ["check_recipient_maps"] = RestrictionKind.RejectUnlistedRecipient,
        ["reject_unlisted_sender"] = RestrictionKind.RejectUnlistedSender,
        ["reject_non_fqdn_sender"] = RestrictionKind.RejectNonFqdnSender,
        ["reject_non_fqdn_recipient"] = RestrictionKind.RejectNonFqdnRecipient,
        ["reject_non_fqdn_helo_hostname"] = RestrictionKind.RejectNonFqdnHelo,
        ["reject_non_fqdn_hostname"] = RestrictionKind.RejectNonFqdnHelo,
        ["reject_invalid_helo_hostname"] = RestrictionKind.RejectInvalidHelo,
        ["reject_invalid_hostname"] = RestrictionKind.RejectInvalidHelo,
        ["reject_unknown_client_hostname"] = RestrictionKind.RejectUnknownClient,
        ["reject_unknown_client"] = RestrictionKind.RejectUnknownClient,
        ["reject_unknown_reverse_client_hostname"] = RestrictionKind.RejectUnknownReverseClient,
        ["reject_unknown_sender_domain"] = RestrictionKind.RejectUnknownSenderDomain,
        ["reject_unknown_recipient_domain"] = RestrictionKind.RejectUnknownRecipientDomain,
        ["reject_multi_recipient_bounce"] = RestrictionKind.RejectMultiRecipientBounce,
        ["check_client_access"] = RestrictionKind.CheckClientAccess,
        ["check_helo_access"] = RestrictionKind.CheckHeloAccess,
        ["check_sender_access"] = RestrictionKind.CheckSenderAccess,
        ["check_recipient_access"] = RestrictionKind.CheckRecipientAccess,
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    private readonly List<string> _errors = [];

    /// <summary>What was wrong, in the order in which it was read.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>True for a name of a restriction that works.</summary>
    public static bool IsKnown(string name) => Names.ContainsKey(name);

    /// <summary>Reads a list.</summary>
    /// <param name="words">Its elements.</param>
    /// <param name="stage">What a bare table means.</param>
    /// <param name="title">The parameter, or the table that the list came from.</param>
    public IReadOnlyList<Restriction> Read(IReadOnlyList<string> words, RestrictionStage stage, string title)
    {
        List<Restriction> list = [];
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            if (IsTable(word))
            {
                list.Add(ForTable(DefaultKind(stage), word, word, title));
            }
            else if (!Names.TryGetValue(word, out RestrictionKind kind))
            {
                list.Add(classes.Contains(word)
                    ? new Restriction(RestrictionKind.Class, word)
                    : Wrong(word, $"unknown smtpd restriction: \"{word}\"", title));
            }
            else if (kind >= RestrictionKind.CheckClientAccess)
            {
                string argument = i + 1 < words.Count ? words[++i] : "";
                list.Add(ForTable(kind, word, argument, title));
            }
            else
            {
                list.Add(new Restriction(kind, word));
            }
        }

        return list;
    }

    private static bool IsTable(string word) => word[0] != '{' && word.Contains(':', StringComparison.Ordinal);

    private static RestrictionKind DefaultKind(RestrictionStage stage) => stage switch
    {
        RestrictionStage.Helo => RestrictionKind.CheckHeloAccess,
        RestrictionStage.Sender => RestrictionKind.CheckSenderAccess,
        RestrictionStage.Recipient => RestrictionKind.CheckRecipientAccess,
        RestrictionStage.Client or RestrictionStage.Data or RestrictionStage.EndOfData => RestrictionKind.CheckClientAccess,
        _ => RestrictionKind.ServerError,
    };

    private Restriction ForTable(RestrictionKind kind, string name, string table, string title)
    {
        if (kind == RestrictionKind.ServerError)
        {
            return Wrong(name, $"unknown smtpd restriction: \"{name}\"", title);
        }

        return IsTable(table.Length == 0 ? "{" : table)
            ? new Restriction(kind, name, MapList.Open(tables, table, name))
            : Wrong(name, $"restriction {name}: bad argument \"{table}\": need maptype:mapname", title);
    }

    private Restriction Wrong(string name, string warning, string title)
    {
        _errors.Add($"{title}: {warning}");
        return new Restriction(RestrictionKind.ServerError, name, null, warning);
    }
}
