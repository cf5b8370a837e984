using Postwright.Core.Configuration;

namespace Postwright.Server.Master;

/// <summary>What a row of master.cf is to us.</summary>
public enum RowKind
{
    /// <summary>An inet row of smtpd: it listens.</summary>
    Smtpd,

    /// <summary>A unix row that delivers.</summary>
    Transport,

    /// <summary>
    /// A helper whose work is done inside, or a transport that is not there: mail routed to that waits. What must not be started
    /// without is refused by the configuration check, before anything runs.
    /// </summary>
    Other,
}

/// <summary>Gives each row of master.cf its meaning: inet rows of smtpd listen, unix rows of delivery agents are transports.</summary>
public static class MasterRows
{
    /// <summary>The kind of a row.</summary>
    public static RowKind KindOf(MasterService row) => (row.Type, row.Command) switch
    {
        ("inet", "smtpd") => RowKind.Smtpd,
        ("unix" or "fifo", "smtp" or "lmtp" or "error" or "discard" or "local" or "virtual") => RowKind.Transport,
        _ => RowKind.Other,
    };

    /// <summary>The configuration of a row: main.cf under its <c>-o</c> settings.</summary>
    public static MailConfiguration ConfigurationOf(MailConfiguration configuration, MasterService row) => configuration.WithOverrides(
        [.. row.Overrides, new KeyValuePair<string, string>("service_name", row.Name)]);

    /// <summary>The configuration of a helper's row, whose work is done inside; main.cf's own where there is no such row.</summary>
    public static MailConfiguration Under(MailConfiguration configuration, string name) =>
        configuration.Services.FirstOrDefault(row => row.Name == name && row.Type != "inet") is { Overrides.Count: > 0 } row
            ? ConfigurationOf(configuration, row)
            : configuration;
}
