using Postwright.Core.Configuration;
using Postwright.Core.Tables.Remote.Ldap;
using Postwright.Core.Tables.Remote.Mongodb;
using Postwright.Core.Tables.Remote.Sql;

namespace Postwright.Core.Tables.Remote;

// The types that are asked over a network, apart from the local ones: the set-gid tools, which must not ask anybody, open their
// tables without this class, and then do not even contain the code. The privileged agent hands its questions on.

/// <summary>Opens remote tables.</summary>
public sealed class RemoteTables : IDisposable
{
    private static readonly Dictionary<string, Func<RemoteTableSource, ILookupTable>> Types = new(StringComparer.Ordinal)
    {
        ["http"] = HttpTable.Open,
        ["ldap"] = LdapTable.Open,
        ["memcache"] = MemcacheTable.Open,
        ["mongodb"] = MongodbTable.Open,
        ["mysql"] = MysqlTable.Open,
        ["pgsql"] = PgsqlTable.Open,
        ["redis"] = RedisTable.Open,
        ["socketmap"] = SocketmapTable.Open,
        ["sqlite"] = SqliteTable.Open,
        ["tcp"] = TcpTable.Open,
    };

    private readonly MailConfiguration _configuration;
    private readonly Func<string, string, LookupResult>? _ask;
    private TableRegistry? _lists;

    /// <summary>Tables under a configuration.</summary>
    /// <param name="configuration">main.cf: limits, and the settings of tables that are named there.</param>
    /// <param name="ask">
    /// For a process that must not talk to servers: puts a question, a table's name and a key, to another process, and waits for
    /// the answer. Databases in files are opened all the same.
    /// </param>
    public RemoteTables(MailConfiguration configuration, Func<string, string, LookupResult>? ask = null)
    {
        _ask = ask;
        _configuration = configuration;
        Open = OpenTable;
    }

    /// <summary>
    /// Opens a table by its name, its type and the rest of its name; what cannot be opened is an unavailable table with the
    /// reason. A delegate, so that only a program that makes one of these contains what it refers to.
    /// </summary>
    internal Func<TableOpener, string, string, string, ILookupTable> Open { get; }

    /// <summary>Closes the tables of <c>domain</c> lists; called by the registry that this one serves.</summary>
    public void Dispose() => Interlocked.Exchange(ref _lists, null)?.Dispose();

    private ILookupTable OpenTable(TableOpener opener, string name, string type, string rest)
    {
        if (RemoteTypes.Refusal(type, name, opener.Security) is { } refusal)
        {
            return opener.Unavailable(name, refusal);
        }

        if (!RemoteOptions.TryParse(rest, out string plain, out RemoteOptions options, out string? error))
        {
            return opener.Unavailable(name, $"{name}: {error}");
        }

        if (_ask is not null && RemoteTypes.IsOnServer(type))
        {
            return new ServedTable(name, _ask, opener.Log);
        }

        var source = new RemoteTableSource
        {
            Name = name,
            Type = type,
            Rest = plain,
            Options = options,
            Use = opener.Use,
            Log = opener.Log,
            Time = opener.Time,
            Chance = opener.Chance,
            Configuration = _configuration,
            Lists = Lists(opener),
        };
        try
        {
            return Types[type](source);
        }
        catch (RemoteConfigurationException wrong)
        {
            return opener.Unavailable(name, wrong.Message);
        }
    }

    private TableRegistry Lists(TableOpener opener)
    {
        if (Volatile.Read(ref _lists) is { } lists)
        {
            return lists;
        }

        // One that comes second is left as it is, without a table: to dispose it would close the other's, since both have this opener.
        var fresh = new TableRegistry(opener.Log, opener.Time, opener.Host, opener.Chance, this, opener.LineLengthLimit, (opener.Use & TableUse.AnyBytes) == 0);
        return Interlocked.CompareExchange(ref _lists, fresh, null) ?? fresh;
    }
}

/// <summary>A remote table's settings cannot be read; the message is for the administrator.</summary>
internal sealed class RemoteConfigurationException(string message) : Exception(message);
