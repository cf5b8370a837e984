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
internal sealed class FailTable(string name) : ILookupTable, IListable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(LookupResult.TemporaryError($"{Name}: table lookup problem"));

    public string? List(Action<string, string> entry) => "";
}

/// <summary><c>environ:</c>: the process's environment; folding makes only lower-case names visible, as in Postfix.</summary>
internal sealed class EnvironmentTable(string name, TableUse use) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(key.Length > 0 && Environment.GetEnvironmentVariable(TableText.Fold(key, use)) is { } value ? LookupResult.Found(value) : LookupResult.NotFound);
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

/// <summary><c>internal:</c>: a table that lives in one process, and is empty in each that opens it.</summary>
internal sealed class InternalTable(string name) : ILookupTable, IListable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) => new(LookupResult.NotFound);

    public string? List(Action<string, string> entry) => null;
}

/// <summary><c>debug:type:name</c>: the table behind it, with a log line for each lookup.</summary>
internal sealed class DebugTable(string name, ILookupTable table, Logging.MailLog log) : ILookupTable, IOpenCheck, IListable, IDisposable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => table.MatchesWholeKeysOnly;

    public bool IsRemote => table.IsRemote;

    public bool CanList => table is IListable { CanList: true };

    public static ILookupTable Open(TableOpener opener, string name, string rest) =>
        opener.Open(rest) is var table && table is UnavailableTable ? table : new DebugTable(name, table, opener.Log);

    public string? CheckOpen() => (table as IOpenCheck)?.CheckOpen();

    public async ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        LookupResult result = await table.LookupAsync(key, cancellationToken);
        log.Info($"{table.Name} lookup: \"{key}\" = \"{(result.Status switch
        {
            LookupStatus.Found => result.Value,
            LookupStatus.NotFound => "not_found",
            _ => "error",
        })}\"");
        return result;
    }

    public string? List(Action<string, string> entry) => ((IListable)table).List((key, value) =>
    {
        log.Info($"{table.Name} sequence: \"{key}\" = \"{value}\"");
        entry(key, value);
    });

    public void Dispose() => (table as IDisposable)?.Dispose();
}
