using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote;

/// <summary>What a remote table is opened with.</summary>
internal sealed record RemoteTableSource
{
    /// <summary>As configured, with the type and the options.</summary>
    public required string Name { get; init; }

    /// <summary>The type: <c>ldap</c>.</summary>
    public required string Type { get; init; }

    /// <summary>What stands between the type and the options.</summary>
    public required string Rest { get; init; }

    /// <summary>The options in braces.</summary>
    public required RemoteOptions Options { get; init; }

    /// <summary>How keys are folded.</summary>
    public required TableUse Use { get; init; }

    /// <summary>Where the table warns.</summary>
    public required MailLog Log { get; init; }

    /// <summary>The clock of every wait.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>Chooses among hosts.</summary>
    public required IChance Chance { get; init; }

    /// <summary>main.cf, where tables without a file of their own have their settings.</summary>
    public required MailConfiguration Configuration { get; init; }

    /// <summary>Opens the tables of a <c>domain</c> list.</summary>
    public required TableRegistry Lists { get; init; }
}
