using Postwright.Core.Configuration;

namespace Postwright.Core.Tables.Remote.Sql;

// mysql_table(5). Hosts over unix-domain sockets are tried first; "localhost" is the local socket, as with MySQL's own client
// library. The library's option files ([client], and option_group) fill what the table leaves out.

/// <summary><c>mysql:/file</c>.</summary>
internal sealed class MysqlTable : SqlServerTable<MysqlConnection>
{
    private const int DefaultPort = 3306;

    /// <summary>Debian's.</summary>
    private const string DefaultSocket = "/run/mysqld/mysqld.sock";

    private static readonly string[] OptionFiles = ["/etc/my.cnf", "/etc/mysql/my.cnf"];

    private readonly MysqlLogin _login;
    private readonly bool _needsRows;

    private MysqlTable(RemoteTableSource source, TableConfigurationFile settings, IReadOnlyList<RemoteEndpoint> hosts, MysqlLogin login)
        : base(source, settings, hasSelectFunction: false, hosts)
    {
        _login = login;
        _needsRows = settings.GetBool("require_result_set", true);
    }

    public static ILookupTable Open(RemoteTableSource source)
    {
        TableConfigurationFile settings = TableConfigurationFile.Open(source);
        Dictionary<string, string> options = Options(settings);
        string charset = SqlCharacterSets.ForMysql(settings);

        string Value(string name, string option) => settings.Find(name) ?? options.GetValueOrDefault(option) ?? "";
        RemoteTls tls = new()
        {
            VerifiesChain = Value("tls_CAfile", "ssl-ca").Length > 0 || Value("tls_CApath", "ssl-capath").Length > 0,
            VerifiesName = settings.GetBool("tls_verify_cert", false),
            AuthorityFile = Value("tls_CAfile", "ssl-ca"),
            AuthorityDirectory = Value("tls_CApath", "ssl-capath"),
            CertificateFile = Value("tls_cert_file", "ssl-cert"),
            KeyFile = Value("tls_key_file", "ssl-key"),
        };
        bool usesTls = tls.VerifiesChain || tls.VerifiesName || tls.CertificateFile.Length > 0 || settings.Get("tls_ciphers", "").Length > 0;
        var login = new MysqlLogin(
            Value("user", "user"), Value("password", "password"), settings.Require("dbname"), charset,
            usesTls ? tls with { VerifiesChain = tls.VerifiesChain || tls.VerifiesName } : null);
        string[] hosts = settings.GetWords("hosts");
        if (hosts.Length == 0)
        {
            hosts = [options.GetValueOrDefault("host") ?? "localhost"];
        }

        int port = int.TryParse(options.GetValueOrDefault("port"), out int number) ? number : DefaultPort;
        string socket = options.GetValueOrDefault("socket") ?? DefaultSocket;
        return new MysqlTable(source, settings, [.. hosts.Select(host => Host(host, port, socket))], login);
    }

    /// <summary>The settings that a group of an option file has: <c>name = value</c> or <c>name</c>, quotes taken off.</summary>
    internal static void AddOptions(string text, ICollection<string> groups, Dictionary<string, string> options)
    {
        bool counts = false;
        foreach (string raw in text.Split('\n'))
        {
            string line = raw.Trim();
            if (line.Length == 0 || line[0] is '#' or ';' or '!')
            {
                continue;
            }

            if (line[0] == '[')
            {
                counts = groups.Contains(line.Trim('[', ']').Trim());
                continue;
            }

            string[] parts = line.Split('=', 2, StringSplitOptions.TrimEntries);
            if (counts)
            {
                options[parts[0].Replace('_', '-')] = parts.Length < 2 ? ""
                    : parts[1].Length > 1 && parts[1][0] is '"' or '\'' && parts[1][^1] == parts[1][0] ? parts[1][1..^1] : parts[1];
            }
        }
    }

    protected override ValueTask<MysqlConnection> ConnectAsync(RemoteEndpoint endpoint, CancellationToken cancellationToken) =>
        MysqlConnection.ConnectAsync(endpoint, _login, cancellationToken);

    protected override ValueTask<List<string?>> QueryAsync(MysqlConnection connection, string key, CancellationToken cancellationToken) =>
        connection.QueryAsync(Query(key, connection.Quote), CheckSize, _needsRows, cancellationToken);

    private static RemoteEndpoint Host(string host, int port, string socket)
    {
        string plain = host.StartsWith("inet:", StringComparison.Ordinal) ? host[5..] : host;
        return plain == "localhost" ? new RemoteEndpoint("", 0, socket) : RemoteEndpoint.Parse(host, port);
    }

    private static Dictionary<string, string> Options(TableConfigurationFile settings)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        string? file = settings.Find("option_file");
        string group = settings.Get("option_group", "client");
        if (file is null && group.Length == 0)
        {
            return options;
        }

        string[] groups = ["client", "client-server", "client-mariadb", group];
        foreach (string path in file is null ? OptionFiles : [file])
        {
            string? trouble = ConfigurationFile.Read(path, out string text);
            if (trouble is not null && file is not null)
            {
                throw settings.Wrong("option_file", $"= {file}: {trouble}");
            }

            AddOptions(text, groups, options);
        }

        return options;
    }
}
