namespace Postwright.Core.Tables.Remote;

// What the tables with a configuration file and templates share: the list of domains, the result's template, and the limit on
// the number of results. Partial keys (user without extension, @domain) are asked for, as Postfix does.

/// <summary>A table with a configuration file.</summary>
internal abstract class DatabaseTable : RemoteTable
{
    private readonly StringList? _domains;
    private readonly string _resultTemplate;
    private readonly int _expansionLimit;

    protected DatabaseTable(RemoteTableSource source, TableConfigurationFile settings, TimeSpan timeout, string? oldResultTemplate = null)
        : base(source, timeout)
    {
        Settings = settings;
        Templates = new TableTemplates(source.Name, source.Log.Warning);
        _resultTemplate = Templates.Add(settings.Filled("result_format", oldResultTemplate ?? "%s"), isQuery: false);
        _expansionLimit = settings.GetInt("expansion_limit", 0);
        string domains = settings.Get("domain", "");
        _domains = domains.Length == 0 ? null : StringList.Open(source.Lists, $"{source.Name}: domain", domains);
    }

    /// <summary>The largest answer, all results together; a table with more is misused, and memory has a bound.</summary>
    protected const int MaxAnswer = 1 << 20;

    /// <summary>The settings.</summary>
    protected TableConfigurationFile Settings { get; }

    /// <summary>The templates.</summary>
    protected TableTemplates Templates { get; }

    /// <summary><c>expansion_limit</c>; 0 for none.</summary>
    protected int ExpansionLimit => _expansionLimit;

    protected sealed override async ValueTask<LookupResult> AskAsync(string key, CancellationToken deadline)
    {
        if (_domains is not null)
        {
            int at = key.LastIndexOf('@');
            if (at <= 0 || at + 1 == key.Length)
            {
                return LookupResult.NotFound;
            }

            switch (await _domains.MatchAsync(key[(at + 1)..], deadline))
            {
                case MatchResult.NoMatch:
                    return LookupResult.NotFound;
                case MatchResult.TemporaryError:
                    throw new RemoteFailure("the list of domains cannot be asked");
                default:
                    break;
            }
        }

        return Templates.Accepts(key) ? await FindAsync(key, deadline) : LookupResult.NotFound;
    }

    /// <summary>Asks for a key that the templates accept.</summary>
    /// <exception cref="RemoteFailure">The server could not be asked.</exception>
    protected abstract ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline);

    /// <summary>The results under the template, joined by commas.</summary>
    /// <exception cref="RemoteFailure">There are more than <c>expansion_limit</c>.</exception>
    protected LookupResult Join(string key, IEnumerable<string?> values)
    {
        var results = new List<string>();
        foreach (string? value in values)
        {
            if (Templates.Result(_resultTemplate, value, key) is not { } result)
            {
                continue;
            }

            results.Add(result);
            if (_expansionLimit > 0 && results.Count > _expansionLimit)
            {
                throw new RemoteFailure($"Expansion limit exceeded for key '{key}'", usable: true);
            }
        }

        string joined = string.Join(',', results);
        return joined.Length == 0 ? LookupResult.NotFound : LookupResult.Found(joined);
    }
}
