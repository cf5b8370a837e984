namespace Postwright.Core.Tables.Remote.Sql;

/// <summary>What mysql:, pgsql: and sqlite: share: the query, also in its older forms.</summary>
internal abstract class SqlTable : DatabaseTable
{
    /// <summary>Longer than any indexed query; a table scan of a large table is a mistake to be seen.</summary>
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);

    private readonly string _query;

    protected SqlTable(RemoteTableSource source, TableConfigurationFile settings, bool hasSelectFunction)
        : base(source, settings, DefaultTimeout)
    {
        string query = settings.Find("query") is { Length: > 0 } whole ? whole
            : (hasSelectFunction && settings.Find("select_function") is { } function ? $"SELECT {function}('%s')" : Legacy(settings));
        _query = Templates.Add(query, isQuery: true);
    }

    /// <summary>The query for a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="quote">Makes text safe between single quotes.</param>
    protected string Query(string key, Func<string, string> quote) => Templates.Query(_query, key, quote);

    /// <summary>Ends an answer that is too large.</summary>
    /// <exception cref="RemoteFailure">It is.</exception>
    protected static void CheckSize(long bytes)
    {
        if (bytes > MaxAnswer)
        {
            throw new RemoteFailure($"the answer has more than {MaxAnswer} bytes", hostIsWell: true);
        }
    }

    private static string Legacy(TableConfigurationFile settings)
    {
        string table = settings.Require("table");
        return $"SELECT {settings.Require("select_field")} FROM {table} WHERE {settings.Require("where_field")}='%s' {settings.Get("additional_conditions", "")}";
    }
}

/// <summary>A SQL server in a network.</summary>
/// <typeparam name="TConnection">Its connection.</typeparam>
internal abstract class SqlServerTable<TConnection> : SqlTable
    where TConnection : RemoteConnection
{
    private readonly RemotePool<TConnection> _pool;

    protected SqlServerTable(RemoteTableSource source, TableConfigurationFile settings, bool hasSelectFunction, IReadOnlyList<RemoteEndpoint> hosts)
        : base(source, settings, hasSelectFunction)
    {
        TimeSpan retry = settings.GetTime("retry_interval", 60);
        _pool = new RemotePool<TConnection>(
            new RemotePoolOptions
            {
                Hosts = hosts,
                Connections = source.Options.Connections,
                ConnectTime = Timeout / hosts.Count,
                IdleLife = settings.GetTime("idle_interval", 60),
                FirstRetry = retry,
                LastRetry = retry,
                IsRandom = true,
            },
            ConnectAsync,
            source.Time,
            source.Chance);
    }

    /// <summary>Connects and logs in.</summary>
    protected abstract ValueTask<TConnection> ConnectAsync(RemoteEndpoint endpoint, CancellationToken cancellationToken);

    /// <summary>Runs a query: every field of every row.</summary>
    protected abstract ValueTask<List<string?>> QueryAsync(TConnection connection, string key, CancellationToken cancellationToken);

    protected sealed override ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline) =>
        _pool.RunAsync(async (connection, token) => Join(key, await QueryAsync(connection, key, token)), deadline);

    protected sealed override void Close() => _pool.Dispose();
}
