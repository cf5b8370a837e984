using System.Collections.Frozen;

namespace Postwright.Core.Tables;

/// <summary><c>inline:{name=value, ...}</c>: a table inside the configuration.</summary>
internal sealed class MemoryTable(string name, IEnumerable<KeyValuePair<string, string>> entries, TableUse use) : ILookupTable, IListable
{
    private readonly FrozenDictionary<string, string> _entries =
        entries.ToFrozenDictionary(entry => entry.Key, entry => entry.Value, StringComparer.Ordinal);

    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public string? List(Action<string, string> entry)
    {
        foreach (KeyValuePair<string, string> pair in _entries)
        {
            entry(pair.Key, pair.Value);
        }

        return null;
    }

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(_entries.TryGetValue(TableText.Fold(key, use), out string? value) ? LookupResult.Found(value) : LookupResult.NotFound);

    /// <summary>Reads the part after <c>inline:</c>; null and a reason when it is malformed.</summary>
    public static MemoryTable? ParseInline(string name, string text, TableUse use, out string? error)
    {
        bool files = (use & TableUse.ValuesAreFiles) != 0;
        string need = $"need \"inline:{{name={(files ? "filename" : "value")}...}}\"";
        error = null;
        if ((use & TableUse.AnyBytes) == 0 && TableText.HasStrayBytes(text))
        {
            error = $"bad UTF-8 syntax: \"{name}\"; {need}";
            return null;
        }

        string? inside = text.StartsWith('{') ? BraceList.Unwrap(text, out error) : null;
        if (inside is null || text == "{}")
        {
            error = $"bad syntax: \"{name}\"; {need}";
            return null;
        }

        var entries = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string raw in BraceList.Split(inside))
        {
            string? item = raw.StartsWith('{') ? BraceList.Unwrap(raw, out error) : raw;
            if (item is null || BraceList.NameValue(item, out error) is not { } pair)
            {
                error = $"{error}: \"{name}\"; {need}";
                return null;
            }

            string? value = files ? FileValues.Encode(pair.Value, out error) : pair.Value;
            if (value is null)
            {
                error = $"{error}: \"{name}\"; {need}";
                return null;
            }

            entries[TableText.Fold(pair.Name, use)] = value;
        }

        if (entries.Count == 0)
        {
            error = $"empty table: \"{name}\"; {need}";
            return null;
        }

        error = null;
        return new MemoryTable(name, entries, use);
    }
}
