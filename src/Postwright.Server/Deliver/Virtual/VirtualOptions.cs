using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Server.Deliver.Local;

namespace Postwright.Server.Deliver.Virtual;

/// <summary>The settings of virtual(8), read once. Names are main.cf's.</summary>
internal sealed record VirtualOptions
{
    public required MailAddressFinder MailboxMaps { get; init; }

    public required MailAddressFinder UidMaps { get; init; }

    public required MailAddressFinder GidMaps { get; init; }

    /// <summary>A server in a network would choose whose rights a delivery has: none is made.</summary>
    public bool HasRemoteIdentities { get; init; }

    public string MailboxBase { get; init; } = "";

    public long MinimumUid { get; init; } = 100;

    public long MailboxLimit { get; init; } = 51_200_000;

    public bool EnableOriginalRecipient { get; init; } = true;

    public bool StrictMailboxOwnership { get; init; } = true;

    public required LockOptions Locks { get; init; }

    /// <summary>Reads the settings, <c>-o</c> overrides of the service's row already on top.</summary>
    public static VirtualOptions From(MailConfiguration configuration, TableRegistry tables)
    {
        AddressFinderOptions addresses = LocalOptions.Addresses(configuration);
        MapList Maps(string name, TableSecurity security) =>
            MapList.Open(tables, configuration.GetString(name).Replace("proxy:", "", StringComparison.Ordinal), name, security);

        // Whose rights a delivery has is not for the sender to choose, who chooses the address.
        MapList uids = Maps("virtual_uid_maps", TableSecurity.Identities);
        MapList gids = Maps("virtual_gid_maps", TableSecurity.Identities);

        return new VirtualOptions
        {
            MailboxMaps = new MailAddressFinder(Maps("virtual_mailbox_maps", TableSecurity.Mailboxes), addresses),
            UidMaps = new MailAddressFinder(uids, addresses),
            GidMaps = new MailAddressFinder(gids, addresses),
            HasRemoteIdentities = uids.Tables.Concat(gids.Tables).Any(table => table.IsRemote),
            MailboxBase = configuration.GetString("virtual_mailbox_base"),
            MinimumUid = configuration.GetLong("virtual_minimum_uid"),
            MailboxLimit = configuration.GetLong("virtual_mailbox_limit"),
            EnableOriginalRecipient = configuration.GetBool("enable_original_recipient"),
            StrictMailboxOwnership = configuration.GetBool("strict_mailbox_ownership"),
            Locks = LockOptions.From(
                configuration.GetList("virtual_mailbox_lock"),
                configuration.GetInt("deliver_lock_attempts"),
                configuration.GetTime("deliver_lock_delay"),
                configuration.GetTime("stale_lock_time")),
        };
    }
}
