namespace Postwright.Core.Tables.Remote.Ldap;

// ldap_table(5). A search gives entries; an entry gives the values of its result attributes; where it has terminal ones, only
// those; where it has special ones (names or URLs of other entries), these are looked up in turn, and its leaf attributes do
// not count. The servers are tried in the order of the list.

/// <summary><c>ldap:/file</c>.</summary>
internal sealed class LdapTable : DatabaseTable
{
    private const int NoSuchObject = 32;

    private static readonly string[] Ineffective = ["cache", "cache_expiry", "cache_size"];

    private readonly RemotePool<LdapConnection> _pool;
    private readonly string _baseTemplate;
    private readonly string _filterTemplate;
    private readonly bool _hasDynamicBase;
    private readonly int _scope;
    private readonly string[] _result;
    private readonly string[] _special;
    private readonly string[] _terminal;
    private readonly string[] _leaf;
    private readonly string[] _attributes;
    private readonly int _recursionLimit;
    private readonly int _sizeLimit;
    private readonly int _aliases;

    private LdapTable(RemoteTableSource source, TableConfigurationFile settings, Dictionary<RemoteEndpoint, bool> servers, LdapLogin login)
        : base(source, settings, settings.GetTime("timeout", 10), settings.Find("result_filter"))
    {
        _baseTemplate = Templates.Add(settings.Get("search_base", ""), isQuery: true);
        _filterTemplate = Templates.Add(settings.Get("query_filter", "(mailacceptinggeneralid=%s)"), isQuery: true);
        _hasDynamicBase = _baseTemplate.Replace("%%", "", StringComparison.Ordinal).Contains('%', StringComparison.Ordinal);
        _scope = settings.Get("scope", "sub").ToLowerInvariant() switch
        {
            "base" => 0,
            "one" => 1,
            "sub" => 2,
            _ => throw settings.Wrong("scope", "must be sub, base or one"),
        };
        _result = settings.GetWords("result_attribute", "maildrop");
        _special = settings.GetWords("special_result_attribute");
        _terminal = settings.GetWords("terminal_result_attribute");
        _leaf = settings.GetWords("leaf_result_attribute");
        _attributes = [.. _result.Concat(_special).Concat(_terminal).Concat(_leaf).Distinct(StringComparer.OrdinalIgnoreCase)];
        _recursionLimit = settings.GetInt("recursion_limit", 1000, 1);
        _sizeLimit = settings.GetInt("size_limit", ExpansionLimit);
        _aliases = settings.GetInt("dereference", 0, 0, 3);
        foreach (string name in Ineffective.Where(name => settings.Find(name) is not null))
        {
            source.Log.Warning($"{source.Name}: {name} is not supported any more");
        }

        if (settings.GetInt("chase_referrals", 0) != 0)
        {
            throw settings.Wrong("chase_referrals", "= 1 is not supported");
        }

        _pool = new RemotePool<LdapConnection>(
            new RemotePoolOptions { Hosts = [.. servers.Keys], Connections = source.Options.Connections, ConnectTime = Timeout / servers.Count },
            (endpoint, token) => LdapConnection.ConnectAsync(endpoint, servers[endpoint], login, token),
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source)
    {
        TableConfigurationFile settings = TableConfigurationFile.Open(source);
        int port = settings.GetInt("server_port", 389, 1, 65535);
        var servers = new Dictionary<RemoteEndpoint, bool>();
        foreach (string word in settings.GetWords("server_host", "localhost"))
        {
            (RemoteEndpoint endpoint, bool isSecure) = LdapUrl.Server(word, port);
            servers.TryAdd(endpoint, isSecure);
        }

        return servers.Count == 0 ? throw settings.Wrong("server_host", "must name a server")
            : new LdapTable(source, settings, servers, Login(settings, servers.ContainsValue(true)));
    }

    protected override ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        var search = new LdapSearch(
            Templates.Query(_baseTemplate, key, LdapFilter.QuoteName), _scope, Templates.Query(_filterTemplate, key, LdapFilter.Quote), _attributes);
        return _pool.RunAsync(
            async (connection, token) =>
            {
                var lookup = new Lookup(this, connection, key, token);
                await lookup.SearchAsync(search, 0);
                return Join(key, lookup.Values);
            },
            deadline);
    }

    protected override void Close() => _pool.Dispose();

    private static LdapLogin Login(TableConfigurationFile settings, bool isSecure)
    {
        int version = settings.GetInt("version", 2, 2, 3);
        bool startsTls = settings.GetBool("start_tls", false);
        string bind = settings.Get("bind", "yes").ToLowerInvariant();
        if ((startsTls || isSecure || bind == "sasl") && version < 3)
        {
            throw settings.Wrong("version", "must be 3 for TLS and SASL");
        }

        string? mechanism = null;
        if (bind == "sasl")
        {
            if (settings.GetInt("sasl_minssf", 0) > 0)
            {
                throw settings.Wrong("sasl_minssf", "is not supported: use TLS");
            }

            mechanism = settings.GetWords("sasl_mechs").Select(static name => name.ToUpperInvariant()).FirstOrDefault(static name => name is "EXTERNAL" or "PLAIN")
                ?? throw settings.Wrong("sasl_mechs", "must have EXTERNAL or PLAIN: others are not supported");
        }

        bool verifies = settings.GetBool("tls_require_cert", false);
        return new LdapLogin
        {
            Version = version,
            Binds = bind switch
            {
                "yes" or "simple" or "sasl" => true,
                "no" or "none" => false,
                _ => throw settings.Wrong("bind", "must be yes, no or sasl"),
            },
            Name = settings.Get("bind_dn", ""),
            Password = settings.Get("bind_pw", ""),
            Mechanism = mechanism,
            Authorization = settings.Get("sasl_authz_id", ""),
            StartsTls = startsTls,
            Tls = new RemoteTls
            {
                VerifiesChain = verifies,
                VerifiesName = verifies,
                AuthorityFile = settings.Find("tls_ca_cert_file"),
                AuthorityDirectory = settings.Find("tls_ca_cert_dir"),
                CertificateFile = settings.Find("tls_cert"),
                KeyFile = settings.Find("tls_key"),
            },
        };
    }

    /// <summary>The searches of one key, one after the other on one connection.</summary>
    private sealed class Lookup(LdapTable table, LdapConnection connection, string key, CancellationToken token)
    {
        private long _size;

        public List<string?> Values { get; } = [];

        public async ValueTask SearchAsync(LdapSearch search, int depth)
        {
            if (depth >= table._recursionLimit)
            {
                throw new RemoteFailure($"Recursion limit exceeded for key '{key}'", usable: true);
            }

            LdapAnswer answer;
            (answer, _size) = await connection.SearchAsync(
                search, table._aliases, table._sizeLimit, (int)Math.Ceiling(table.Timeout.TotalSeconds), _size, token);
            switch (answer.Code)
            {
                case 0:
                    break;
                case NoSuchObject when depth > 0 || table._hasDynamicBase:
                    return;
                default:
                    throw new RemoteFailure($"Search error {answer.Code}: {answer.Message}", usable: true);
            }

            foreach (LdapEntry entry in answer.Entries)
            {
                await AddAsync(entry, depth);
            }
        }

        private async ValueTask AddAsync(LdapEntry entry, int depth)
        {
            bool isTerminal = Has(entry, table._terminal);
            bool isLeaf = !Has(entry, table._special);
            foreach ((string name, List<string> values) in entry.Attributes)
            {
                bool counts = isTerminal ? Contains(table._terminal, name) : Contains(table._result, name) || (isLeaf && Contains(table._leaf, name));
                if (counts)
                {
                    Values.AddRange(values);
                }
                else if (!isTerminal && Contains(table._special, name))
                {
                    foreach (string value in values)
                    {
                        await FollowAsync(value, depth + 1);
                    }
                }
            }
        }

        private async ValueTask FollowAsync(string value, int depth)
        {
            if (!LdapUrl.IsUrl(value))
            {
                await SearchAsync(new LdapSearch(value, 0, "(objectClass=*)", table._attributes), depth);
                return;
            }

            if (LdapUrl.Parse(value) is not { } url)
            {
                table.Source.Log.Warning($"{table.Name}: malformed URL {value}");
                return;
            }

            string[] wanted = url.Attributes.Count == 0 ? table._attributes : [.. table._attributes.Where(name => Contains(url.Attributes, name))];
            if (wanted.Length == 0)
            {
                // To ask for none would be to ask for all.
                return;
            }

            await SearchAsync(new LdapSearch(url.Base, url.Scope, url.Filter, wanted), depth);
        }

        private static bool Has(LdapEntry entry, string[] names) =>
            names.Length > 0 && entry.Attributes.Any(attribute => attribute.Value.Count > 0 && Contains(names, attribute.Key));

        private static bool Contains(IReadOnlyList<string> names, string name) => names.Contains(name, StringComparer.OrdinalIgnoreCase);
    }
}
