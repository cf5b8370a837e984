using System.Globalization;
using Postwright.Core.Configuration;

namespace Postwright.Core.Tables.Remote;

// ldap_table(5) and its like: a name that begins with a slash or a dot is a file in main.cf's format, without references to
// other values; any other name is a prefix of main.cf's own parameters ("name_hosts"), as before Postfix 2.1. Unknown names
// are passed over, as Postfix does: one file may serve several types.

/// <summary>The settings of a table.</summary>
internal sealed class TableConfigurationFile
{
    private readonly Func<string, string?> _find;
    private readonly Func<string, int> _line;

    private TableConfigurationFile(string place, Func<string, string?> find, Func<string, int> line)
    {
        Place = place;
        _find = find;
        _line = line;
    }

    /// <summary>The file, or main.cf's prefix; for messages.</summary>
    public string Place { get; }

    /// <summary>Reads the settings of a table.</summary>
    /// <exception cref="RemoteConfigurationException">The file cannot be read.</exception>
    public static TableConfigurationFile Open(RemoteTableSource source)
    {
        string name = source.Rest;
        if (name.Length > 0 && name[0] is not ('/' or '.'))
        {
            return new TableConfigurationFile(name, parameter => source.Configuration.GetUserDefined($"{name}_{parameter}"), static _ => 0);
        }

        if (ConfigurationFile.Read(name, out string text) is { } trouble)
        {
            throw new RemoteConfigurationException($"open {name}: {trouble}");
        }

        return Parse(text, name, source.Log.Warning);
    }

    /// <summary>Reads settings from a file's text; what Postfix only warns of is warned of.</summary>
    /// <exception cref="RemoteConfigurationException">A line is no setting: with its default in its place another server might be asked.</exception>
    public static TableConfigurationFile Parse(string text, string file, Action<string> warn)
    {
        var errors = new List<ConfigurationError>();
        Dictionary<string, Setting> settings = MainCf.Parse(text, file, errors);
        foreach (ConfigurationError error in errors)
        {
            if (error.IsFatal)
            {
                throw new RemoteConfigurationException(error.ToString());
            }

            warn(error.ToString());
        }

        return new TableConfigurationFile(
            file, parameter => settings.GetValueOrDefault(parameter)?.Value, parameter => settings.GetValueOrDefault(parameter)?.Line ?? 0);
    }

    /// <summary>The value, or null when it is not set.</summary>
    public string? Find(string name) => _find(name);

    /// <summary>The value, or <paramref name="otherwise"/> when it is not set.</summary>
    public string Get(string name, string otherwise) => _find(name) ?? otherwise;

    /// <summary>A value that must be there.</summary>
    /// <exception cref="RemoteConfigurationException">It is not, or it is empty.</exception>
    public string Require(string name) => Filled(name, "");

    /// <summary>The value, or <paramref name="otherwise"/> when it is not set.</summary>
    /// <exception cref="RemoteConfigurationException">It is empty.</exception>
    public string Filled(string name, string otherwise) =>
        Get(name, otherwise) is { Length: > 0 } value ? value : throw new RemoteConfigurationException($"{Place}: bad string length 0 < 1: {name} = ");

    /// <summary>A whole number.</summary>
    /// <exception cref="RemoteConfigurationException">It is none, or out of its limits.</exception>
    public int GetInt(string name, int otherwise, int lowest = 0, int highest = int.MaxValue) =>
        _find(name) is not { } text ? otherwise
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= lowest && value <= highest ? value
        : throw Wrong(name, highest == int.MaxValue ? $"must be a whole number, at least {lowest}" : $"must be a whole number, from {lowest} to {highest}");

    /// <summary>A number of seconds, or a time with a unit.</summary>
    /// <exception cref="RemoteConfigurationException">It is none, or zero.</exception>
    public TimeSpan GetTime(string name, int otherwise) =>
        _find(name) is not { } text ? TimeSpan.FromSeconds(otherwise)
        : TimeValue.TryParse(text, 's', out TimeSpan value) && value > TimeSpan.Zero ? value
        : throw Wrong(name, "must be a time in seconds, at least 1");

    /// <summary>yes or no.</summary>
    /// <exception cref="RemoteConfigurationException">It is neither.</exception>
    public bool GetBool(string name, bool otherwise) => _find(name)?.ToLowerInvariant() switch
    {
        null => otherwise,
        "yes" => true,
        "no" => false,
        _ => throw Wrong(name, "must be yes or no"),
    };

    /// <summary>Words parted by commas or white space.</summary>
    public string[] GetWords(string name, string otherwise = "") => Words(Get(name, otherwise));

    /// <summary>Words parted by commas or white space.</summary>
    public static string[] Words(string text) => text.Split([' ', ',', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>What to throw when a value is wrong.</summary>
    public RemoteConfigurationException Wrong(string name, string what) => new($"{Where(name)}: {name} {what}");

    private string Where(string name) => _line(name) is > 0 and int line ? $"{Place}, line {line}" : Place;
}
