namespace Postwright.Core.Tables;

// The tables that need no file of their own format: static, fail, environ, and the stand-in for a table that cannot be opened.

/// <summary><c>static:text</c>: every key has the same value.</summary>
internal sealed class StaticTable(string name, string value) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => true;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) => new(LookupResult.Found(value));
}

/// <summary><c>fail:text</c>: every lookup is a temporary error; for tests of what depends on tables.</summary>
internal sealed class FailTable(string name) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(LookupResult.TemporaryError($"{Name}: table lookup problem"));
}

/// <summary><c>environ:</c>: the process's environment; folding makes only lower-case names visible, as in Postfix.</summary>
internal sealed class EnvironmentTable(string name, bool fold) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(key.Length > 0 && Environment.GetEnvironmentVariable(fold ? TableText.Fold(key) : key) is { } value ? LookupResult.Found(value) : LookupResult.NotFound);
}

/// <summary>
/// Stands for a table that cannot be opened: it answers with a temporary error, so that mail waits for the administrator
/// instead of being refused or let through.
/// </summary>
internal sealed class UnavailableTable(string name, string reason, Logging.MailLog? log) : ILookupTable, IOpenCheck
{
    private int _warned;

    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public string? CheckOpen() => reason;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        string text = $"{Name} is unavailable. {reason}";
        if (Interlocked.Exchange(ref _warned, 1) == 0)
        {
            log?.Warning(text);
        }

        return new(LookupResult.TemporaryError(text));
    }
}
