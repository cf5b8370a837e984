using System.Collections.Frozen;

namespace Postwright.Core.Configuration.Check;

/// <summary>
/// The names of smtpd restrictions: those that work, and those of Postfix that are not there yet and get the server error,
/// 451 4.3.5.
/// </summary>
public static class RestrictionNames
{
    /// <summary>Restrictions that work.</summary>
    public static IReadOnlySet<string> Implemented { get; } = Set(
        "permit reject defer defer_if_permit defer_if_reject warn_if_reject permit_mynetworks permit_inet_interfaces " +
        "permit_sasl_authenticated reject_unauth_pipelining reject_unauth_destination defer_unauth_destination " +
        "permit_auth_destination reject_unlisted_recipient check_recipient_maps reject_unlisted_sender reject_non_fqdn_sender " +
        "reject_non_fqdn_recipient reject_non_fqdn_helo_hostname reject_non_fqdn_hostname reject_invalid_helo_hostname " +
        "reject_invalid_hostname reject_unknown_client_hostname reject_unknown_client reject_unknown_reverse_client_hostname " +
        "reject_unknown_sender_domain reject_unknown_recipient_domain reject_multi_recipient_bounce " +
        "check_client_access check_helo_access check_sender_access check_recipient_access");

    /// <summary>Restrictions of Postfix that do not work yet.</summary>
    public static IReadOnlySet<string> Missing { get; } = Set(
        "sleep check_policy_service reject_plaintext_session permit_tls_clientcerts permit_tls_all_clientcerts " +
        "check_client_a_access check_client_mx_access check_client_ns_access check_reverse_client_hostname_access " +
        "check_reverse_client_hostname_a_access check_reverse_client_hostname_mx_access check_reverse_client_hostname_ns_access " +
        "check_ccert_access check_sasl_access reject_unknown_forward_client_hostname reject_rbl_client reject_rbl " +
        "permit_dnswl_client reject_rhsbl_client reject_rhsbl_reverse_client permit_rhswl_client check_helo_a_access " +
        "check_helo_mx_access check_helo_ns_access reject_unknown_helo_hostname reject_unknown_hostname reject_rhsbl_helo " +
        "check_sender_a_access check_sender_mx_access check_sender_ns_access reject_unknown_address reject_unverified_sender " +
        "reject_sender_login_mismatch reject_authenticated_sender_login_mismatch reject_known_sender_login_mismatch " +
        "reject_unauthenticated_sender_login_mismatch reject_rhsbl_sender check_recipient_a_access check_recipient_mx_access " +
        "check_recipient_ns_access permit_mx_backup reject_unverified_recipient reject_rhsbl_recipient check_etrn_access");

    /// <summary>Restrictions that Postfix dropped; using one is a server error there too.</summary>
    public static IReadOnlySet<string> Removed { get; } = Set("permit_naked_ip_address reject_maps_rbl check_relay_domains check_address_map");

    /// <summary>Restrictions of the two kinds that take an argument.</summary>
    internal static bool TakesArgument(string name)
        => (name.StartsWith("check_", StringComparison.OrdinalIgnoreCase) && name != "check_recipient_maps")
            || name.StartsWith("reject_rbl", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("reject_rhsbl_", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("permit_dnswl_", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("permit_rhswl_", StringComparison.OrdinalIgnoreCase)
            || name.Equals("sleep", StringComparison.OrdinalIgnoreCase);

    private static FrozenSet<string> Set(string names) => names.Split(' ').ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
