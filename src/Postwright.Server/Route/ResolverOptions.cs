using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;

namespace Postwright.Server.Route;

/// <summary>trivial-rewrite(8)'s settings for resolving, and the lists and tables they name, opened.</summary>
public sealed record ResolverOptions
{
    /// <summary>myhostname.</summary>
    public required string MyHostName { get; init; }

    /// <summary>mydestination.</summary>
    public required StringList MyDestination { get; init; }

    /// <summary>virtual_alias_domains.</summary>
    public required StringList VirtualAliasDomains { get; init; }

    /// <summary>virtual_mailbox_domains.</summary>
    public required StringList VirtualMailboxDomains { get; init; }

    /// <summary>relay_domains.</summary>
    public required DomainList RelayDomains { get; init; }

    /// <summary>transport_maps.</summary>
    public required MapList TransportMaps { get; init; }

    /// <summary>relocated_maps.</summary>
    public required MapList RelocatedMaps { get; init; }

    /// <summary>sender_dependent_relayhost_maps.</summary>
    public required MapList SenderRelayHosts { get; init; }

    /// <summary>sender_dependent_default_transport_maps.</summary>
    public required MapList SenderDefaultTransports { get; init; }

    /// <summary>The addresses that inet_interfaces and proxy_interfaces name: <c>user@[192.0.2.1]</c> is local for them.</summary>
    public IReadOnlySet<IPAddress> OwnAddresses { get; init; } = new HashSet<IPAddress>();

    /// <summary>local_transport.</summary>
    public string LocalTransport { get; init; } = "local";

    /// <summary>virtual_transport.</summary>
    public string VirtualTransport { get; init; } = "virtual";

    /// <summary>relay_transport.</summary>
    public string RelayTransport { get; init; } = "relay";

    /// <summary>default_transport.</summary>
    public string DefaultTransport { get; init; } = "smtp";

    /// <summary>relayhost; empty for none.</summary>
    public string RelayHost { get; init; } = "";

    /// <summary>empty_address_recipient.</summary>
    public string EmptyAddressRecipient { get; init; } = "MAILER-DAEMON";

    /// <summary>empty_address_relayhost_maps_lookup_key.</summary>
    public string EmptySenderRelayHostKey { get; init; } = "<>";

    /// <summary>empty_address_default_transport_maps_lookup_key.</summary>
    public string EmptySenderDefaultTransportKey { get; init; } = "<>";

    /// <summary>resolve_dequoted_address.</summary>
    public bool ResolveDequotedAddress { get; init; } = true;

    /// <summary>resolve_null_domain.</summary>
    public bool ResolveNullDomain { get; init; }

    /// <summary>resolve_numeric_domain.</summary>
    public bool ResolveNumericDomain { get; init; }

    /// <summary>show_user_unknown_table_name.</summary>
    public bool ShowTableName { get; init; } = true;

    /// <summary>relocated_prefix_enable.</summary>
    public bool RelocatedPrefix { get; init; } = true;

    /// <summary>parent_domain_matches_subdomains names transport_maps.</summary>
    public bool TransportParentMatches { get; init; }

    /// <summary>recipient_delimiter and what else finding addresses in tables needs; without the local domains, which are <see cref="MyDestination"/>.</summary>
    public AddressFinderOptions Finder { get; init; } = new();

    /// <summary>Reads the settings and opens what they name.</summary>
    public static ResolverOptions From(MailConfiguration configuration, TableRegistry registry)
    {
        string Get(string name) => configuration.GetString(name);
        StringList Strings(string name) => StringList.Open(registry, name, Get(name));
        MapList Maps(string name) => MapList.Open(registry, Get(name), name);
        IReadOnlyList<string> parents = configuration.GetList("parent_domain_matches_subdomains");
        return new ResolverOptions
        {
            MyHostName = Get("myhostname"),
            MyDestination = Strings("mydestination"),
            VirtualAliasDomains = Strings("virtual_alias_domains"),
            VirtualMailboxDomains = Strings("virtual_mailbox_domains"),
            RelayDomains = DomainList.Open(registry, "relay_domains", Get("relay_domains"), parents.Contains("relay_domains")),
            TransportMaps = Maps("transport_maps"),
            RelocatedMaps = Maps("relocated_maps"),
            SenderRelayHosts = Maps("sender_dependent_relayhost_maps"),
            SenderDefaultTransports = Maps("sender_dependent_default_transport_maps"),
            OwnAddresses = Addresses(configuration),
            LocalTransport = Get("local_transport"),
            VirtualTransport = Get("virtual_transport"),
            RelayTransport = Get("relay_transport"),
            DefaultTransport = Get("default_transport"),
            RelayHost = Get("relayhost"),
            EmptyAddressRecipient = Get("empty_address_recipient"),
            EmptySenderRelayHostKey = Get("empty_address_relayhost_maps_lookup_key"),
            EmptySenderDefaultTransportKey = Get("empty_address_default_transport_maps_lookup_key"),
            ResolveDequotedAddress = configuration.GetBool("resolve_dequoted_address"),
            ResolveNullDomain = configuration.GetBool("resolve_null_domain"),
            ResolveNumericDomain = configuration.GetBool("resolve_numeric_domain"),
            ShowTableName = configuration.GetBool("show_user_unknown_table_name"),
            RelocatedPrefix = configuration.GetBool("relocated_prefix_enable"),
            TransportParentMatches = parents.Contains("transport_maps"),
            Finder = new AddressFinderOptions
            {
                RecipientDelimiter = Get("recipient_delimiter"),
                DoubleBounceSender = Get("double_bounce_sender"),
                OwnerRequestSpecial = configuration.GetBool("owner_request_special"),
            },
        };
    }

    private static HashSet<IPAddress> Addresses(MailConfiguration configuration)
    {
        HashSet<IPAddress> addresses = [.. configuration.OwnAddresses.Select(own => own.Address)];
        foreach (string proxy in configuration.GetList("proxy_interfaces"))
        {
            if (IPAddress.TryParse(proxy.Trim('[', ']'), out IPAddress? address))
            {
                addresses.Add(address);
            }
        }

        return addresses;
    }
}
