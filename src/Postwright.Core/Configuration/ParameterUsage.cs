namespace Postwright.Core.Configuration;

/// <summary>
/// Which names a configuration uses (postconf's warnings of likely typing errors): parameters of the table, per-service
/// parameters for the services in master.cf, and names of the administrator's own that a <c>$name</c>, smtpd_restriction_classes
/// or a table such as <c>ldap:name</c> refers to. Whatever else is set is unused; whatever is referred to and set nowhere is
/// undefined.
/// </summary>
internal sealed class ParameterUsage
{
    private static readonly string[] TransportPrograms = ["smtp", "lmtp", "local", "virtual", "pipe", "error"];
    private static readonly string[] TimedPrograms = ["pipe", "spawn"];

    private readonly MailConfiguration _configuration;
    private readonly Dictionary<string, string> _main;
    private readonly HashSet<string> _usedMain = new(StringComparer.Ordinal);
    private readonly HashSet<(MasterService, string)> _usedMaster = [];
    private readonly HashSet<(string File, string Name)> _reported = [];
    private readonly List<(string File, string Name)> _undefined = [];
    private readonly List<string> _failures = [];
    private Dictionary<string, string>? _userParameters;
    private readonly List<string> _clientWarnings = [];
    private readonly HashSet<string> _clientFiles = new(StringComparer.Ordinal);

    private ParameterUsage(MailConfiguration configuration)
    {
        _configuration = configuration;
        _main = configuration.Settings.ToDictionary(s => s.Name, s => s.Value, StringComparer.Ordinal);
        ServiceParameters = FindServiceParameters(configuration.Rows);
    }

    /// <summary>The rows that exist because master.cf has a service for them, by name.</summary>
    public IReadOnlyDictionary<string, ParameterDefinition> ServiceParameters { get; }

    /// <summary>The administrator's own names that are in use, with their unexpanded values.</summary>
    public IReadOnlyDictionary<string, string> UserParameters
        => _userParameters ??= _usedMain.ToDictionary(name => name, name => _main[name], StringComparer.Ordinal);

    /// <summary>Names referred to and set nowhere, with the file that refers to them.</summary>
    public IReadOnlyList<(string File, string Name)> Undefined => _undefined;

    /// <summary>Syntax errors and endless references in values that count, in Postfix's words.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>What is wrong with the files of database clients (<c>ldap:/path</c>): unreadable, or a setting the client does not have.</summary>
    public IReadOnlyList<string> ClientWarnings => _clientWarnings;

    /// <summary>Settings of main.cf that nothing uses, by name.</summary>
    public IReadOnlyList<Setting> UnusedMain
        => [.. _configuration.Settings.Where(s => !IsKnown(s.Name) && !_usedMain.Contains(s.Name)).OrderBy(s => s.Name, StringComparer.Ordinal)];

    /// <summary>Overrides of master.cf that nothing uses.</summary>
    public IReadOnlyList<(MasterService Service, KeyValuePair<string, string> Setting)> UnusedMaster
        => [.. _configuration.Rows.SelectMany(service => service.Overrides
            .Where(o => !IsKnown(o.Key) && !_usedMaster.Contains((service, o.Key)))
            .Select(o => (service, o)))];

    /// <summary>Looks at every setting and every reference once.</summary>
    public static ParameterUsage Of(MailConfiguration configuration)
    {
        var usage = new ParameterUsage(configuration);
        usage.ScanClasses(configuration.GetString("smtpd_restriction_classes"), null);
        foreach (Setting setting in configuration.Settings.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            ParameterDefinition? row = usage.FindRow(setting.Name);
            if (row is null)
            {
                // What an unknown name refers to counts as used, its tables do not: the error is reported where it is.
                usage.ScanReferences(setting.Value, null);
            }
            else if (row.Kind != ParameterKind.Raw)
            {
                usage.Verify(setting.Value, null);
                usage.Scan(setting.Value, null);
            }
        }

        if (!CompatibilityLevel.TryParse(configuration.GetString("compatibility_level"), out _))
        {
            usage.Fail($"malformed compatibility level syntax: \"{configuration.GetString("compatibility_level")}\"");
        }

        foreach (MasterService service in configuration.Rows)
        {
            foreach ((string name, string value) in service.Overrides)
            {
                if (name == "smtpd_restriction_classes")
                {
                    usage.ScanClasses(usage.Expand(value, service), service);
                }

                if (ParameterTable.Find(name) is not { Kind: ParameterKind.Raw })
                {
                    usage.Verify(value, service);
                    usage.Scan(value, service);
                }
            }
        }

        return usage;
    }

    /// <summary>True for a parameter of the table, and for a per-service one whose service is in master.cf.</summary>
    public bool IsKnown(string name) => FindRow(name) is not null;

    /// <summary>The row of a known name.</summary>
    public ParameterDefinition? FindRow(string name)
        => ServiceParameters.TryGetValue(name, out ParameterDefinition? row) ? row
            : ParameterTable.Find(name) is { Scope: not ParameterScope.Transport } known ? known : null;

    private static Dictionary<string, ParameterDefinition> FindServiceParameters(IReadOnlyList<MasterService> services)
    {
        var rows = new Dictionary<string, ParameterDefinition>(StringComparer.Ordinal);
        foreach (MasterService service in services)
        {
            bool isTimed = TimedPrograms.Contains(service.Command);
            bool isTransport = TransportPrograms.Contains(service.Command);
            foreach (ParameterDefinition template in isTimed || isTransport ? ParameterTable.Templates : [])
            {
                if ((template.Name == "transport_time_limit" ? isTimed : isTransport)
                    && ParameterTable.Instance(template, service.Name) is { } row)
                {
                    rows[row.Name] = row;
                }
            }
        }

        return rows;
    }

    private void Verify(string value, MasterService? service)
        => MacroExpander.Expand(value, name => LookUp(name, service), Fail, ConfigurationFunctions.Find);

    private void Fail(string what)
    {
        if (!_failures.Contains(what))
        {
            _failures.Add(what);
        }
    }

    private void ScanClasses(string classes, MasterService? service)
    {
        foreach (string name in ConfigurationList.Split(classes))
        {
            Use(name, service, 0);
        }
    }

    private void Scan(string value, MasterService? service, int depth = 0)
    {
        ScanReferences(value, service, depth);
        ScanTables(value, service);
    }

    private void ScanReferences(string value, MasterService? service, int depth = 0)
    {
        foreach (string name in MacroReferences.In(value))
        {
            Use(name, service, depth);
        }
    }

    private void Use(string name, MasterService? service, int depth)
    {
        if (IsKnown(name) || depth > MacroExpander.NestingLimit)
        {
            return;
        }

        if (service is not null && service.Overrides.LastOrDefault(o => o.Key == name) is { Key: not null } local)
        {
            if (_usedMaster.Add((service, name)))
            {
                Scan(local.Value, service, depth + 1);
            }
        }
        else if (_main.TryGetValue(name, out string? value))
        {
            if (_usedMain.Add(name))
            {
                Scan(value, service, depth + 1);
            }
        }
        else if (!UseInServices(name, service))
        {
            string file = ConfigurationFile.In(_configuration.ConfigDirectory, service is null ? "main.cf" : "master.cf");
            if (_reported.Add((file, name)))
            {
                _undefined.Add((file, name));
            }
        }
    }

    /// <summary>main.cf may refer to a name that only rows of master.cf set.</summary>
    private bool UseInServices(string name, MasterService? service)
    {
        if (service is not null)
        {
            return false;
        }

        bool found = false;
        foreach (MasterService other in _configuration.Rows.Where(s => s.Overrides.Any(o => o.Key == name)))
        {
            found = true;
            _usedMaster.Add((other, name));
        }

        return found;
    }

    /// <summary>A database client named without a path (<c>ldap:name</c>) takes its settings from main.cf, as name_domain and so on.</summary>
    private void ScanTables(string value, MasterService? service)
    {
        if (!value.Contains(':', StringComparison.Ordinal))
        {
            return;
        }

        foreach (string element in ConfigurationList.Split(Expand(value, service)))
        {
            string table = element;
            while (table.StartsWith("proxy:", StringComparison.Ordinal))
            {
                table = table["proxy:".Length..];
            }

            if (!DatabaseClients.TryParse(table, out string name, out IReadOnlyList<string> suffixes))
            {
                continue;
            }

            if (name[0] is '/' or '.')
            {
                string type = table[..table.IndexOf(':', StringComparison.Ordinal)];
                if (_clientFiles.Add($"{type}:{name}"))
                {
                    _clientWarnings.AddRange(DatabaseClients.CheckFile(type, name, suffixes));
                }

                continue;
            }

            foreach (string suffix in suffixes)
            {
                string parameter = $"{name}_{suffix}";
                if (_main.TryGetValue(parameter, out string? setting) && !IsKnown(parameter) && _usedMain.Add(parameter))
                {
                    Scan(setting, service);
                }
            }
        }
    }

    private string Expand(string value, MasterService? service)
        => MacroExpander.Expand(value, name => LookUp(name, service)).Text;

    private string? LookUp(string name, MasterService? service)
        => service is not null && service.Overrides.LastOrDefault(o => o.Key == name) is { Key: not null } local
            ? local.Value : _configuration.LookUp(name);
}
