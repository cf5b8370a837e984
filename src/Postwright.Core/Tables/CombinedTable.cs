using Postwright.Core.Seams;

namespace Postwright.Core.Tables;

// Tables made of tables. pipemap: the value from one is the key of the next, and "not found" anywhere is the answer.
// unionmap: the values of all that have one, joined by commas. An error in any of them is the answer.

/// <summary><c>pipemap:{a, b}</c> and <c>unionmap:{a, b}</c>.</summary>
internal sealed class CombinedTable : ILookupTable, IOpenCheck, IDisposable
{
    private readonly ILookupTable[] _parts;
    private readonly bool _union;

    private CombinedTable(string name, ILookupTable[] parts, bool union)
    {
        Name = name;
        _parts = parts;
        _union = union;
        MatchesWholeKeysOnly = union ? parts.Any(part => part.MatchesWholeKeysOnly) : parts[0].MatchesWholeKeysOnly;
    }

    public string Name { get; }

    public bool MatchesWholeKeysOnly { get; }

    public bool IsRemote => _parts.Any(part => part.IsRemote);

    public string? CheckOpen() => _parts.Select(part => (part as IOpenCheck)?.CheckOpen()).FirstOrDefault(reason => reason is not null);

    public static ILookupTable Open(TableOpener opener, string name, string rest, bool union)
    {
        string kind = union ? "unionmap" : "pipemap";
        string? inside = rest.StartsWith('{') ? BraceList.Unwrap(rest, out _) : null;
        List<string> names = BraceList.Split(inside ?? "");
        if (names.Count == 0 || names.Any(part => !part.Contains(':', StringComparison.Ordinal)))
        {
            return opener.Unavailable(name, $"bad syntax: \"{name}\"; need \"{kind}:{{type:name...}}\"");
        }

        return new CombinedTable(name, [.. names.Select(opener.Open)], union);
    }

    public async ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        string current = key;
        var found = new List<string>();
        foreach (ILookupTable part in _parts)
        {
            LookupResult result = await part.LookupAsync(current, cancellationToken);
            if (result.Status == LookupStatus.TemporaryError || (!_union && !result.IsFound))
            {
                return result;
            }

            if (result.IsFound)
            {
                found.Add(result.Value);
                current = _union ? key : result.Value;
            }
        }

        return found.Count == 0 ? LookupResult.NotFound : LookupResult.Found(_union ? string.Join(',', found) : current);
    }

    public void Dispose()
    {
        foreach (ILookupTable part in _parts)
        {
            (part as IDisposable)?.Dispose();
        }
    }
}

/// <summary><c>randmap:{a, b}</c>: one of its values for every key, by chance.</summary>
internal sealed class RandomTable(string name, IReadOnlyList<string> values, IChance chance) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => true;

    public static ILookupTable Open(TableOpener opener, string name, string rest)
    {
        string? inside = rest.StartsWith('{') ? BraceList.Unwrap(rest, out _) : null;
        List<string> values = BraceList.Split(inside ?? "");
        if (values.Count == 0)
        {
            return opener.Unavailable(name, $"bad syntax: \"{name}\"; need \"randmap:{{value...}}\"");
        }

        for (int i = 0; i < values.Count; i++)
        {
            if (opener.ValueOf(values[i], out string? reason) is not { } content)
            {
                return opener.Unavailable(name, reason!);
            }

            values[i] = content;
        }

        return new RandomTable(name, values, opener.Chance);
    }

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(LookupResult.Found(values[chance.Next(values.Count)]));
}
