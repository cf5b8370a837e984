using Postwright.Core.Configuration;

namespace Postwright.Server.Master;

/// <summary>What a row of master.cf is to us.</summary>
public enum RowKind
{
    /// <summary>An inet row of smtpd: it listens.</summary>
    Smtpd,

    /// <summary>A unix row that delivers.</summary>
    Transport,

    /// <summary>A helper that became a class, or pickup and its like: accepted, its settings are read elsewhere.</summary>
    Helper,

    /// <summary>A transport that is not there yet: accepted, mail routed to it waits.</summary>
    MissingTransport,

    /// <summary>A service that is not there yet and faces the network, or no command of Postfix's: start refuses.</summary>
    Refused,
}

/// <summary>
/// Gives each row of master.cf its meaning: inet rows of smtpd listen, unix rows of delivery agents are transports, and rows
/// for Postfix's helper daemons are accepted, since their work is done inside. What would face the network and is not there, and
/// what nobody knows, refuses start: nothing fails open.
/// </summary>
public static class MasterRows
{
    /// <summary>The kind of a row.</summary>
    public static RowKind KindOf(MasterService row) => (row.Type, row.Command) switch
    {
        ("inet", "smtpd") => RowKind.Smtpd,
        ("unix" or "fifo", "smtp" or "lmtp" or "error" or "discard" or "local" or "virtual") => RowKind.Transport,
        ("unix", "pipe") => RowKind.MissingTransport,
        ("unix" or "fifo", "pickup" or "cleanup" or "qmgr" or "oqmgr" or "nqmgr" or "tlsmgr" or "trivial-rewrite" or "bounce" or "verify" or "flush"
            or "proxymap" or "showq" or "anvil" or "scache" or "tlsproxy" or "dnsblog" or "spawn") => RowKind.Helper,

        // The smtpd behind postscreen: without postscreen nothing reaches it.
        ("pass", "smtpd") => RowKind.Helper,
        ("unix-dgram", "postlogd") => RowKind.Helper,
        _ => RowKind.Refused,
    };

    /// <summary>What is wrong with the rows, each with file and line; empty if start may go on.</summary>
    public static IReadOnlyList<string> Errors(MailConfiguration configuration) =>
    [
        .. configuration.Services
            .Where(row => KindOf(row) == RowKind.Refused)
            .Select(row => $"{row.File}: line {row.Line}: service \"{row.Name}\": command \"{row.Command}\" is not available for type \"{row.Type}\""),
    ];

    /// <summary>The configuration of a row: main.cf under its <c>-o</c> settings.</summary>
    public static MailConfiguration ConfigurationOf(MailConfiguration configuration, MasterService row) => configuration.WithOverrides(
        [.. row.Overrides, new KeyValuePair<string, string>("service_name", row.Name)]);
}
