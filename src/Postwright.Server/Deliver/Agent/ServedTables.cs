using System.Collections.Frozen;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;

namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // Runs on delivery threads, which may block.

/// <summary>
/// Mail's side of lookups for the agent: the tables on servers that one configuration names for local and virtual deliveries. They
/// are mail's own, with their pools, caches and deadlines; no other is asked, whatever the agent says.
/// </summary>
public sealed class ServedTables
{
    /// <summary>
    /// The longest lookup, whatever the table's own limit: half of minimal_backoff_time's default, as a delivery that waits for
    /// longer is better tried again.
    /// </summary>
    public static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(150);

    private readonly FrozenDictionary<string, ILookupTable> _tables;
    private readonly TimeProvider _time;
    private readonly TimeSpan _limit;
    private readonly MailLog _log;

    private ServedTables(IEnumerable<ILookupTable> tables, TimeProvider time, TimeSpan limit, MailLog log)
    {
        _tables = tables.ToFrozenDictionary(table => table.Name, StringComparer.Ordinal);
        _time = time;
        _limit = limit;
        _log = log;
    }

    /// <summary>Opens what the <c>local</c> and <c>virtual</c> rows of master.cf name: alias_maps and virtual_mailbox_maps.</summary>
    /// <param name="configuration">main.cf and master.cf.</param>
    /// <param name="tables">Where mail has its tables.</param>
    /// <param name="time">Measures lookups.</param>
    /// <param name="log">For what the agent should not have asked.</param>
    /// <param name="limit">The longest lookup; <see cref="DefaultLimit"/> when left out.</param>
    public static ServedTables From(MailConfiguration configuration, TableRegistry tables, TimeProvider time, MailLog log, TimeSpan? limit = null)
    {
        IEnumerable<string> names = AgentServices.Rows(configuration)
            .SelectMany(static row => row.Settings.GetList(row.Command == "local" ? "alias_maps" : "virtual_mailbox_maps"))
            .SelectMany(RemoteTypes.ServersIn)
            .Distinct(StringComparer.Ordinal);
        return new ServedTables([.. names.Select(tables.Open)], time, limit ?? DefaultLimit, log);
    }

    /// <summary>Looks a key up, on a thread that may wait.</summary>
    /// <param name="table">The name, as configured.</param>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">The end of this process.</param>
    internal LookupResult Lookup(string table, string key, CancellationToken cancellationToken)
    {
        if (!_tables.TryGetValue(table, out ILookupTable? served))
        {
            return Failed(table, "neither alias_maps nor virtual_mailbox_maps names it");
        }

        using CancellationTokenSource limit = new(_limit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            LookupResult result = TableLookup.Wait(served.LookupAsync(key, both.Token));
            return TableFrames.Answer(result).Length <= TableFrames.AnswerLimit ? result : Failed(table, "the answer is too long");
        }
        catch (OperationCanceledException)
        {
            return cancellationToken.IsCancellationRequested
                ? LookupResult.TemporaryError($"{table}: the mail system stops")
                : Failed(table, $"no answer within {_limit.TotalSeconds:0.###} s");
        }
    }

    private LookupResult Failed(string table, string reason)
    {
        string text = $"table {table} lookup error: {reason}";
        _log.Warning(text);
        return LookupResult.TemporaryError(text);
    }
}
