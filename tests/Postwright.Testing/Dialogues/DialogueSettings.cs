namespace Postwright.Testing.Dialogues;

/// <summary>The main.cf that all SMTP server dialogues start from, for Postwright and for Postfix alike.</summary>
public static class DialogueSettings
{
    /// <summary>
    /// One domain of each class; clients come from 127.0.0.1, which is a stranger unless a dialogue says otherwise. What newer
    /// releases changed is set to their defaults, so that an older Postfix can be compared.
    /// </summary>
    public const string MainCf = """
        compatibility_level = 3.6
        myhostname = mx.example.com
        mydestination = example.com
        mynetworks = 192.0.2.0/24
        relay_domains = relay.example
        virtual_alias_domains = alias.example
        virtual_alias_maps = inline:{ {list@alias.example=user@example.com} {gone@example.com=user@example.com} }
        virtual_mailbox_domains = mailbox.example
        virtual_mailbox_maps = inline:{ {box@mailbox.example=box/} }
        relay_recipient_maps =
        local_recipient_maps = inline:{user=x, other=x, quoted=x}
        alias_maps =
        alias_database =
        smtpd_error_sleep_time = 0
        smtpd_peername_lookup = no
        smtpd_forbid_bare_newline = normalize
        smtpd_forbid_unauth_pipelining = yes

        """;
}
