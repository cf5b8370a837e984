using System.Collections.Frozen;

namespace Postwright.Core.Tables;

/// <summary><c>texthash:/file</c>: the source format of postmap(1), read into memory. Of two equal keys the first one counts.</summary>
internal sealed class TextHashTable(string name, string path, TableOpener opener)
    : TextFileTable<FrozenDictionary<string, string>>(name, path, opener.Log, opener.Time), IListable
{
    private readonly TableUse _use = opener.Use;

    public override bool MatchesWholeKeysOnly => false;

    protected override string OpenFailure => "open database";

    protected override FrozenDictionary<string, string> Parse(IEnumerable<LogicalLine> lines, Action<string> warn)
    {
        var entries = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (SourceEntry entry in SourceEntries.Read(Path, lines, " -- ignoring this line", utf8: (_use & TableUse.AnyBytes) == 0, warn))
        {
            if (opener.ValueOf(entry.Value, out string? error) is not { } value)
            {
                warn($"{Path}, line {entry.Line}: {error}: skipping this entry");
                continue;
            }

            string key = TableText.Fold(entry.Key, _use);
            if (!entries.TryAdd(key, value))
            {
                warn($"{Path}, line {entry.Line}: duplicate entry: \"{entry.Key}\"");
            }
        }

        return entries.ToFrozenDictionary(StringComparer.Ordinal);
    }

    protected override LookupResult Lookup(FrozenDictionary<string, string> rules, string key) =>
        rules.TryGetValue(TableText.Fold(key, _use), out string? value) ? LookupResult.Found(value) : LookupResult.NotFound;

    public string? List(Action<string, string> entry)
    {
        string? error = CheckOpen();
        foreach (KeyValuePair<string, string> pair in Refresh() ?? FrozenDictionary<string, string>.Empty)
        {
            entry(pair.Key, pair.Value);
        }

        return error;
    }
}
