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
        relay_domains = relay.example, undeliverable.example
        virtual_alias_domains = alias.example
        virtual_alias_maps = inline:{ {list@alias.example=user@example.com} {gone@example.com=user@example.com} }
        virtual_mailbox_domains = mailbox.example
        virtual_mailbox_maps = inline:{ {box@mailbox.example=box/} }
        relay_recipient_maps =
        relocated_maps = inline:{ {moved@example.com=new@elsewhere.example} {moved@alias.example=new@elsewhere.example} }
        transport_maps = inline:{ {plain.undeliverable.example=error:closed} {empty.undeliverable.example=error:} {soon.undeliverable.example=retry:} {later.undeliverable.example=retry:5.2.2 full} {two.undeliverable.example=error:2.1.1 two} {half.undeliverable.example=error:5.7 half} {own.undeliverable.example=own:hello} {s0.undeliverable.example=error:5.1.0 zero} {s1.undeliverable.example=error:5.1.1 one} {s2.undeliverable.example=error:5.1.2 two} {s3.undeliverable.example=error:5.1.3 three} {s4.undeliverable.example=error:5.1.4 four} {s5.undeliverable.example=error:5.1.5 five} {s6.undeliverable.example=error:5.1.6 six} {s7.undeliverable.example=error:5.1.7 seven} {s8.undeliverable.example=error:5.1.8 eight} {s10.undeliverable.example=error:5.1.10 ten} {away.undeliverable.example=error:4.2.1 away} {closed@example.com=error:5.1.1 account closed} }
        local_recipient_maps = inline:{user=x, other=x, quoted=x}
        alias_maps =
        alias_database =
        smtpd_error_sleep_time = 0
        smtpd_peername_lookup = no
        smtpd_forbid_bare_newline = normalize
        smtpd_forbid_unauth_pipelining = yes

        """;
}
