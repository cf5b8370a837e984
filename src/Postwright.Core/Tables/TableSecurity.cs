namespace Postwright.Core.Tables;

/// <summary>What depends on the results of a table, and so which tables and rules are refused there.</summary>
public enum TableSecurity
{
    /// <summary>Nothing that is dangerous: no table is refused.</summary>
    None,

    /// <summary>Where mail is kept (virtual_mailbox_maps): tables whose server proves nothing (tcp, socketmap, memcache) are refused.</summary>
    Mailboxes,

    /// <summary>
    /// What an alias stands for (alias_maps): as <see cref="Mailboxes"/>; and where a rule of a regexp or pcre table that puts a
    /// part of the key into its result is the one that matches, the lookup fails, since the key is the sender's choice.
    /// </summary>
    Aliases,

    /// <summary>
    /// Whose rights a delivery has (virtual_uid_maps, ...): as <see cref="Mailboxes"/>, and redis and http are refused too; rules
    /// that put a part of the key into the result are left out.
    /// </summary>
    Identities,
}
