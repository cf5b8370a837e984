using System.Globalization;

namespace Postwright.Core.Configuration;

/// <summary>
/// The settings of main.cf over the defaults of <see cref="ParameterTable"/>, and the rows of master.cf. Immutable and safe for
/// any number of threads; a reload makes a new one. Read what you need once, into an options record of your own.
/// Asking for a name that is no parameter is a bug and throws <see cref="ArgumentException"/>; a value that cannot be read
/// falls back to the default and is collected in <see cref="Errors"/>, as is everything wrong in the files.
/// </summary>
public sealed class MailConfiguration
{
    private readonly Dictionary<string, Setting> _settings;
    private readonly DerivedDefaults _derived;
    private readonly Lazy<HostFacts> _host;
    private readonly List<ConfigurationError> _errors;
    private readonly Lock _errorsLock = new();

    private MailConfiguration(
        string configDirectory,
        Dictionary<string, Setting> settings,
        IReadOnlyList<MasterService> rows,
        Lazy<HostFacts> host,
        IEnumerable<ConfigurationError> errors)
    {
        ConfigDirectory = configDirectory;
        _settings = settings;
        Rows = rows;
        _host = host;
        _derived = new DerivedDefaults(this, host);
        _errors = [.. errors];
        var disabled = new DisabledServices(rows.Count == 0 || !IsSet("master_service_disable") ? [] : GetList("master_service_disable"));
        Services = [.. rows.GroupBy(row => (row.Name, row.Type)).Select(same => same.Last()).Where(row => !disabled.Contains(row))];
    }

    /// <summary>The directory the files were read from.</summary>
    public string ConfigDirectory { get; }

    /// <summary>The services of master.cf that master_service_disable lets run, in order; where one stands twice, the last row counts.</summary>
    public IReadOnlyList<MasterService> Services { get; }

    /// <summary>The rows of master.cf as they stand there, for showing.</summary>
    internal IReadOnlyList<MasterService> Rows { get; }

    /// <summary>What is set in main.cf and by overrides, known names or not.</summary>
    public IReadOnlyCollection<Setting> Settings => _settings.Values;

    /// <summary>Everything wrong so far, in the order it was found: in the files, and in values asked for.</summary>
    public IReadOnlyList<ConfigurationError> Errors
    {
        get
        {
            lock (_errorsLock)
            {
                return [.. _errors];
            }
        }
    }

    /// <summary>Reads main.cf and master.cf of a directory. A file that is missing or unreadable is an error in <see cref="Errors"/>.</summary>
    /// <param name="configDirectory">The directory.</param>
    /// <param name="host">What the machine is called and which addresses it has; null for the real ones.</param>
    public static MailConfiguration Load(string configDirectory, HostFacts? host = null) => Load(configDirectory, Facts(host));

    /// <summary>The same with facts that are found only if a value needs them.</summary>
    internal static MailConfiguration Load(string configDirectory, Lazy<HostFacts> host)
    {
        var errors = new List<ConfigurationError>();
        string main = ReadFile(ConfigurationFile.In(configDirectory, "main.cf"), errors);
        string master = ReadFile(ConfigurationFile.In(configDirectory, "master.cf"), errors);
        return Build(configDirectory, main, master, host, errors);
    }

    /// <summary>The defaults, main.cf left out: master.cf alone decides which per-service parameters there are.</summary>
    internal static MailConfiguration LoadDefaults(string configDirectory, Lazy<HostFacts> host)
    {
        var errors = new List<ConfigurationError>();
        string master = ReadFile(ConfigurationFile.In(configDirectory, "master.cf"), errors);
        return Build(configDirectory, "", master, host, errors);
    }

    /// <summary>Reads a configuration from text, for tests and for tools that have it in hand.</summary>
    /// <param name="mainCf">main.cf's text.</param>
    /// <param name="masterCf">master.cf's text; null for none.</param>
    /// <param name="host">What the machine is called and which addresses it has; null for the real ones.</param>
    /// <param name="configDirectory">The directory to name in messages.</param>
    public static MailConfiguration FromText(string mainCf, string? masterCf = null, HostFacts? host = null, string configDirectory = "/etc/postfix")
        => Build(configDirectory, mainCf, masterCf ?? "", Facts(host), []);

    /// <summary>The same with <c>-o name=value</c> settings on top, whose file is named <c>-o</c>.</summary>
    public MailConfiguration WithOverrides(IEnumerable<KeyValuePair<string, string>> overrides)
    {
        var settings = new Dictionary<string, Setting>(_settings, StringComparer.Ordinal);
        foreach ((string name, string value) in overrides)
        {
            settings[name] = new Setting(name, value, "-o", 0);
        }

        return new MailConfiguration(ConfigDirectory, settings, Rows, _host, Errors);
    }

    /// <summary>This machine's addresses that inet_interfaces and inet_protocols select.</summary>
    public IReadOnlyList<InterfaceAddress> OwnAddresses => new DerivedDefaults(this, _host).OwnAddresses();

    /// <summary>True when main.cf or an override sets the name, even to nothing.</summary>
    public bool IsSet(string name) => _settings.ContainsKey(name);

    /// <summary>True when the name is not set and its default is another one than at compatibility level 3.6.</summary>
    public bool HasFormerDefault(string name) =>
        !IsSet(name) && GetString(name) != WithOverrides([new("compatibility_level", "3.6")]).GetString(name);

    /// <summary>What no setting changes: it says what the program is.</summary>
    internal static bool IsReadOnly(string name) => name is "process_id" or "process_name";

    /// <summary>True for what is set and counts.</summary>
    internal bool ShowsAsSet(string name) => IsSet(name) && !IsReadOnly(name);

    /// <summary>The value, references expanded; for a raw parameter the text as it stands.</summary>
    public string GetString(string name)
    {
        ParameterDefinition row = Row(name);
        string value = GetUnexpanded(name);
        if (row.Kind == ParameterKind.Raw)
        {
            return value;
        }

        value = Expand(value, name);
        return name == "myorigin" && value.StartsWith('/') ? ReadOrigin(value) : value;
    }

    /// <summary>Debian's myorigin may name a file such as /etc/mailname, whose first line counts.</summary>
    private string ReadOrigin(string path)
    {
        string? trouble = ConfigurationFile.Read(path, out string text);
        string origin = text.Split('\n', 2)[0].Trim();
        if (trouble is null && origin.Length > 0)
        {
            return origin;
        }

        Report("myorigin", $"myorigin = {path}: {trouble ?? "the file's first line is empty"}; it must hold a domain name");
        return GetString("myhostname");
    }

    /// <summary>The value as main.cf or the table has it, references unexpanded.</summary>
    public string GetUnexpanded(string name)
        => LookUp(name) ?? throw new ArgumentException($"there is no parameter {name}", nameof(name));

    /// <summary>yes or no, in any case.</summary>
    public bool GetBool(string name) => Get(name, (text, _) => ParseBool(text));

    /// <summary>A whole number within the row's limits.</summary>
    public int GetInt(string name) => (int)Get(name, (text, row) => ParseNumber(text, row, int.MaxValue));

    /// <summary>A whole number within the row's limits.</summary>
    public long GetLong(string name) => Get(name, (text, row) => ParseNumber(text, row, long.MaxValue));

    /// <summary>A duration within the row's limits.</summary>
    public TimeSpan GetTime(string name) => Get(name, ParseTime);

    /// <summary>Durations separated by commas or blanks, such as delay_warning_time's.</summary>
    public IReadOnlyList<TimeSpan> GetTimes(string name)
    {
        ParameterDefinition row = Row(name);
        string text = GetString(name);
        if (ParseTimes(text, row) is { } times)
        {
            return times;
        }

        Report(name, $"{name} = {text}: this must be {Wanted(row)}");
        return ParseTimes(Expand(DefaultOf(row), name), row) ?? [];
    }

    /// <summary>The elements, references expanded, <c>{...}</c> kept together.</summary>
    public IReadOnlyList<string> GetList(string name) => ConfigurationList.Split(GetString(name));

    /// <summary>The expanded value of a name that main.cf may define for itself (a restriction class); null when it does not.</summary>
    public string? GetUserDefined(string name)
        => _settings.TryGetValue(name, out Setting? setting) ? Expand(setting.Value, name) : null;

    /// <summary>Expands the references in any text, as in a value of main.cf.</summary>
    /// <param name="text">The text.</param>
    /// <param name="name">The parameter or place it belongs to, for messages.</param>
    public string Expand(string text, string name)
        => MacroExpander.Expand(text, LookUp, trouble => Report(name, trouble), ConfigurationFunctions.Find).Text;

    /// <summary>What is wrong with an expanded value of a parameter; null when it can be read.</summary>
    internal static string? Explain(ParameterDefinition row, string text)
    {
        bool valid = row.Kind switch
        {
            ParameterKind.Bool => ParseBool(text) is not null,
            ParameterKind.Int => ParseNumber(text, row, int.MaxValue) is not null,
            ParameterKind.Long => ParseNumber(text, row, long.MaxValue) is not null,
            ParameterKind.Time => ParseTime(text, row) is not null,
            ParameterKind.TimeList => ParseTimes(text, row) is not null,
            _ => true,
        };
        return valid ? null : $"{row.Name} = {text}: this must be {Wanted(row)}";
    }

    /// <summary>The unexpanded value of any name for an expansion; null when it is neither set nor a parameter.</summary>
    internal string? LookUp(string name)
    {
        if (_settings.TryGetValue(name, out Setting? setting) && !IsReadOnly(name))
        {
            return setting.Value;
        }

        if (name == "config_directory")
        {
            // Where the files were found, unless they say something else, as in Postfix.
            return ConfigDirectory;
        }

        return ParameterTable.Find(name) is { } row ? DefaultOf(row) : null;
    }

    /// <summary>The unexpanded default, found on the machine where it is derived.</summary>
    internal string DefaultOf(ParameterDefinition row) => _derived.Find(row.Name) ?? row.Default;

    private static Lazy<HostFacts> Facts(HostFacts? host) => host is null ? new Lazy<HostFacts>(HostFacts.OfThisMachine) : new Lazy<HostFacts>(host);

    private static MailConfiguration Build(string directory, string main, string master, Lazy<HostFacts> host, List<ConfigurationError> errors)
    {
        Dictionary<string, Setting> settings = MainCf.Parse(main, ConfigurationFile.In(directory, "main.cf"), errors);
        IReadOnlyList<MasterService> services = MasterCf.Parse(master, ConfigurationFile.In(directory, "master.cf"), errors);
        return new MailConfiguration(directory, settings, services, host, errors);
    }

    private static string ReadFile(string path, List<ConfigurationError> errors)
    {
        if (ConfigurationFile.Read(path, out string text) is { } trouble)
        {
            errors.Add(new ConfigurationError(path, 0, ConfigurationFile.Failure(path, trouble)));
        }

        return text;
    }

    private static ParameterDefinition Row(string name)
        => ParameterTable.Find(name) ?? throw new ArgumentException($"there is no parameter {name}", nameof(name));

    private T Get<T>(string name, Func<string, ParameterDefinition, T?> parse)
        where T : struct
    {
        ParameterDefinition row = Row(name);
        string text = GetString(name);
        if (parse(text, row) is { } value)
        {
            return value;
        }

        Report(name, $"{name} = {text}: this must be {Wanted(row)}");
        return parse(Expand(DefaultOf(row), name), row) ?? default;
    }

    private void Report(string name, string trouble)
    {
        Setting? setting = _settings.GetValueOrDefault(name);
        var error = new ConfigurationError(setting?.File ?? ConfigurationFile.In(ConfigDirectory, "main.cf"), setting?.Line ?? 0, trouble);
        lock (_errorsLock)
        {
            // A value that is asked for once a session would otherwise grow the list for ever.
            if (!_errors.Contains(error))
            {
                _errors.Add(error);
            }
        }
    }

    private static bool? ParseBool(string text)
        => text.Equals("yes", StringComparison.OrdinalIgnoreCase) ? true
            : text.Equals("no", StringComparison.OrdinalIgnoreCase) ? false : null;

    private static long? ParseNumber(string text, ParameterDefinition row, long top)
        => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            && value >= row.Minimum && value <= Math.Min(row.Maximum, top) ? value : null;

    private static TimeSpan? ParseTime(string text, ParameterDefinition row)
        => TimeValue.TryParse(text, row.Unit, out TimeSpan value)
            && value.TotalSeconds >= row.Minimum && value.TotalSeconds <= row.Maximum ? value : null;

    private static TimeSpan[]? ParseTimes(string text, ParameterDefinition row)
    {
        TimeSpan?[] times = [.. ConfigurationList.Split(text).Select(one => ParseTime(one, row))];
        return times.Contains(null) ? null : [.. times.Select(time => time!.Value)];
    }

    private static string Wanted(ParameterDefinition row)
    {
        string what = row.Kind switch
        {
            ParameterKind.Bool => "yes or no",
            ParameterKind.Time => $"a time such as 30s, 5m, 4h, 5d (without a letter it counts in {row.Unit})",
            ParameterKind.TimeList => $"times such as 5m, 4h (without a letter they count in {row.Unit})",
            _ => "a whole number",
        };
        string unit = row.Kind is ParameterKind.Time or ParameterKind.TimeList ? " seconds" : "";
        return row.Kind == ParameterKind.Bool ? what
            : row.Maximum >= int.MaxValue ? $"{what}, at least {row.Minimum}{unit}"
            : $"{what}, from {row.Minimum} to {row.Maximum}{unit}";
    }
}
