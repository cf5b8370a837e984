using Postwright.Core.Logging;

namespace Postwright.Core.Tables;

// A parameter's list of tables ("hash:/a, regexp:/b"): one key is put to all tables in order; callers go to the next key
// only after the whole list said no. The first error ends the lookup: a table further on must not answer for one that
// could not be asked.

/// <summary>Several tables, asked in order.</summary>
public sealed class MapList
{
    private readonly ILookupTable[] _tables;
    private readonly MailLog? _log;

    private MapList(string title, ILookupTable[] tables, MailLog? log)
    {
        Title = title;
        _tables = tables;
        _log = log;
    }

    /// <summary>The parameter the list came from; for log lines.</summary>
    public string Title { get; }

    /// <summary>The tables in order.</summary>
    public IReadOnlyList<ILookupTable> Tables => _tables;

    /// <summary>True when there is nothing to ask.</summary>
    public bool IsEmpty => _tables.Length == 0;

    /// <summary>Opens each table of <paramref name="tables"/>, a list parted by commas or blanks.</summary>
    /// <param name="registry">Owner of the tables.</param>
    /// <param name="tables">The parameter's value.</param>
    /// <param name="title">The parameter's name, for log lines; the value itself when left out.</param>
    /// <param name="security">What depends on the results.</param>
    public static MapList Open(TableRegistry registry, string tables, string? title = null, TableSecurity security = TableSecurity.None) =>
        new(title ?? tables, [.. BraceList.Split(tables).Select(name => registry.Open(name, security))], registry.Log);

    /// <summary>Puts <paramref name="key"/> to the tables in order.</summary>
    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken = default) =>
        LookupAsync(key, partial: false, cancellationToken);

    /// <summary>Puts <paramref name="key"/> to the tables in order.</summary>
    /// <param name="key">An empty key is never found.</param>
    /// <param name="partial">True for a parent domain, a bare user or another part of the real key: tables that see whole keys only are passed over.</param>
    /// <param name="cancellationToken">Ends the wait for a table in a network.</param>
    public async ValueTask<LookupResult> LookupAsync(string key, bool partial, CancellationToken cancellationToken = default)
    {
        if (key.Length == 0)
        {
            return LookupResult.NotFound;
        }

        foreach (ILookupTable table in _tables)
        {
            if (partial && table.MatchesWholeKeysOnly)
            {
                continue;
            }

            LookupResult result = await table.LookupAsync(key, cancellationToken);
            if (result.Status == LookupStatus.TemporaryError)
            {
                _log?.Warning($"{table.Name} lookup error for \"{(key.Length > 100 ? key[..100] : key)}\"");
                return result;
            }

            if (result.Value is { Length: 0 })
            {
                // An empty value is a mistake in the table, and what was meant is unknown.
                _log?.Warning($"{Title} lookup of {key} returns an empty string result");
                _log?.Warning($"{Title} should return NO RESULT in case of NOT FOUND");
                return LookupResult.TemporaryError($"{table.Name}: empty result for \"{key}\"");
            }

            if (result.IsFound)
            {
                return result;
            }
        }

        return LookupResult.NotFound;
    }
}
