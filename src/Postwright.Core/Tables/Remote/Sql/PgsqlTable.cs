namespace Postwright.Core.Tables.Remote.Sql;

// pgsql_table(5). A host is inet:host:port, unix:/directory (or the socket itself), host:port, or a postgresql:// URI with a
// user, a password, a database and sslmode/sslrootcert/sslcert/sslkey. TLS is asked for where the server offers it, as libpq
// does (sslmode=prefer), and nothing is verified unless the URI says so.

/// <summary><c>pgsql:/file</c>.</summary>
internal sealed class PgsqlTable : SqlServerTable<PgsqlConnection>
{
    private const int DefaultPort = 5432;

    private readonly Dictionary<RemoteEndpoint, PgsqlLogin> _logins;

    private PgsqlTable(RemoteTableSource source, TableConfigurationFile settings, Dictionary<RemoteEndpoint, PgsqlLogin> logins)
        : base(source, settings, hasSelectFunction: true, [.. logins.Keys]) => _logins = logins;

    public static ILookupTable Open(RemoteTableSource source)
    {
        TableConfigurationFile settings = TableConfigurationFile.Open(source);
        var logins = new Dictionary<RemoteEndpoint, PgsqlLogin>();
        string[] hosts = settings.GetWords("hosts");
        if (hosts.Length == 0)
        {
            source.Log.Warning($"{source.Name}: hosts: no hosts specified, defaulting to localhost");
            hosts = ["localhost"];
        }

        string encoding = SqlCharacterSets.ForPgsql(settings);
        foreach (string host in hosts)
        {
            (RemoteEndpoint endpoint, PgsqlLogin login) = Host(host, settings, encoding);
            logins[endpoint] = login;
        }

        return new PgsqlTable(source, settings, logins);
    }

    /// <summary>Takes a host of <c>hosts</c> apart.</summary>
    /// <exception cref="RemoteConfigurationException">It cannot be read.</exception>
    internal static (RemoteEndpoint Endpoint, PgsqlLogin Login) Host(string host, TableConfigurationFile settings, string encoding)
    {
        var login = new PgsqlLogin(
            settings.Get("user", ""), settings.Get("password", ""), settings.Get("dbname", ""), encoding, new PgsqlTls(true, false, new RemoteTls()));
        if (host.StartsWith("postgresql://", StringComparison.Ordinal) || host.StartsWith("postgres://", StringComparison.Ordinal))
        {
            (RemoteEndpoint Endpoint, PgsqlLogin Login) named = FromUri(host, login);
            return named.Login.Database.Length > 0 ? named : (named.Endpoint, named.Login with { Database = settings.Require("dbname") });
        }

        _ = settings.Require("dbname");

        if (host.StartsWith("unix:", StringComparison.Ordinal) || host.StartsWith('/'))
        {
            return (Local(host.StartsWith('/') ? host : host[5..], DefaultPort), login);
        }

        return (RemoteEndpoint.Parse(host, DefaultPort), login);
    }

    protected override ValueTask<PgsqlConnection> ConnectAsync(RemoteEndpoint endpoint, CancellationToken cancellationToken) =>
        PgsqlConnection.ConnectAsync(endpoint, _logins[endpoint], Source.Chance, cancellationToken);

    protected override ValueTask<List<string?>> QueryAsync(PgsqlConnection connection, string key, CancellationToken cancellationToken) =>
        connection.QueryAsync(Query(key, connection.Quote), CheckSize, cancellationToken);

    /// <summary>libpq wants the directory; a path that ends as its sockets do is the socket.</summary>
    private static RemoteEndpoint Local(string path, int port) =>
        new("", 0, path.Contains("/.s.PGSQL.", StringComparison.Ordinal) ? path : $"{path.TrimEnd('/')}/.s.PGSQL.{port}");

    private static (RemoteEndpoint Endpoint, PgsqlLogin Login) FromUri(string host, PgsqlLogin login)
    {
        if (!Uri.TryCreate(host, UriKind.Absolute, out Uri? uri))
        {
            throw new RemoteConfigurationException($"bad host: \"{Hidden(host)}\"");
        }

        string[] user = uri.UserInfo.Split(':', 2);
        string database = Uri.UnescapeDataString(uri.AbsolutePath.TrimStart('/'));
        login = login with
        {
            User = user[0].Length > 0 ? Uri.UnescapeDataString(user[0]) : login.User,
            Password = user.Length > 1 ? Uri.UnescapeDataString(user[1]) : login.Password,
            Database = database.Length > 0 ? database : login.Database,
        };
        var tls = new RemoteTls();
        string mode = "prefer";
        string directory = Uri.UnescapeDataString(uri.Host);
        foreach (string pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = pair.Split('=', 2);
            string value = parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "";
            switch (parts[0])
            {
                case "sslmode":
                    mode = value;
                    break;
                case "sslrootcert":
                    tls = tls with { AuthorityFile = value };
                    break;
                case "sslcert":
                    tls = tls with { CertificateFile = value };
                    break;
                case "sslkey":
                    tls = tls with { KeyFile = value };
                    break;
                case "host":
                    directory = value;
                    break;
                default:
                    throw new RemoteConfigurationException($"\"{Hidden(host)}\": {parts[0]} is not supported");
            }
        }

        login = login with { Tls = Mode(mode, tls, host) };
        int port = uri.Port > 0 ? uri.Port : DefaultPort;
        return (directory.StartsWith('/') ? Local(directory, port) : new RemoteEndpoint(directory.Length > 0 ? directory.Trim('[', ']') : "localhost", port), login);
    }

    private static PgsqlTls Mode(string mode, RemoteTls tls, string host) => mode switch
    {
        "disable" => new PgsqlTls(false, false, tls),
        "allow" or "prefer" => new PgsqlTls(true, false, tls),
        "require" => new PgsqlTls(true, true, tls with { VerifiesChain = tls.AuthorityFile is not null }),
        "verify-ca" => new PgsqlTls(true, true, tls with { VerifiesChain = true }),
        "verify-full" => new PgsqlTls(true, true, tls with { VerifiesChain = true, VerifiesName = true }),
        _ => throw new RemoteConfigurationException($"\"{Hidden(host)}\": sslmode {mode} is unknown"),
    };

    /// <summary>A URI without its user and password.</summary>
    private static string Hidden(string uri) => uri.Contains('@', StringComparison.Ordinal) ? "postgresql://..." + uri[uri.LastIndexOf('@')..] : uri;
}
