using Postwright.Core.Logging;

namespace Postwright.Core.Tables;

// A table that is a text file, read whole into memory. The file is looked at again at most once a second, at a lookup;
// new content counts only when two looks in a row saw the same state, since an editor that rewrites a file in place would
// otherwise be seen half done, and a missing rule is a refused or relayed message. Content that cannot be read leaves the
// rules as they were, with a warning. A file that could not be read at first is tried again in the same rhythm.

/// <summary>What texthash, cidr, regexp and pcre have in common.</summary>
/// <typeparam name="TRules">The parsed content, immutable.</typeparam>
internal abstract class TextFileTable<TRules>(string name, string path, MailLog log, TimeProvider time) : ILookupTable, IOpenCheck
    where TRules : class
{
    private readonly Lock _lock = new();
    private volatile TRules? _rules;
    private FileStamp _loaded;
    private FileStamp _seen;
    private long _lastLook;
    private bool _looked;
    private bool _inline;
    private string? _error;

    public string Name { get; } = name;

    public abstract bool MatchesWholeKeysOnly { get; }

    protected string Path { get; } = path;

    public string? CheckOpen()
    {
        Refresh();
        return _rules is null ? _error : null;
    }

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken)
    {
        TRules? rules = Refresh();
        return new(rules is null ? LookupResult.TemporaryError($"{Name} is unavailable. {_error}") : Lookup(rules, key));
    }

    /// <summary>What stands before the path when the file cannot be opened.</summary>
    protected virtual string OpenFailure => "open";

    /// <summary>Rules that stand in the name itself: there is no file to look at.</summary>
    protected void UseInline(IEnumerable<LogicalLine> lines)
    {
        _inline = true;
        _rules = Parse(lines, log.Warning);
    }

    /// <summary>The rules as they stand, or null when there are none.</summary>
    protected TRules? Refresh()
    {
        if (_inline)
        {
            return _rules;
        }

        TRules? rules = _rules;
        lock (_lock)
        {
            if (_looked && time.GetElapsedTime(_lastLook) < TimeSpan.FromSeconds(1))
            {
                return _rules;
            }

            bool first = !_looked;
            _looked = true;
            _lastLook = time.GetTimestamp();
            if (!FileStamp.TryGet(Path, out FileStamp now, out int errno))
            {
                Fail($"{OpenFailure} {Path}: {Libc.ErrorText(errno)}");
                return _rules;
            }

            if (rules is null ? first || now != _loaded || _error is null : now != _loaded && now == _seen)
            {
                Load(now);
            }

            _seen = now;
            return _rules;
        }
    }

    /// <summary>Parses the file's content; problems of single lines are warned of.</summary>
    protected abstract TRules Parse(IEnumerable<LogicalLine> lines, Action<string> warn);

    /// <summary>Looks a key up.</summary>
    protected abstract LookupResult Lookup(TRules rules, string key);

    private void Load(FileStamp now)
    {
        try
        {
            using Stream? file = TableFile.Open(Path, out string? trouble);
            if (file is null)
            {
                Fail($"{OpenFailure} {Path}: {trouble}");
                return;
            }

            _rules = Parse(LogicalLines.Read(file, Path, log.Warning, TableFile.MaxSize), log.Warning);
            _error = null;
            _loaded = now;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Fail($"{OpenFailure} {Path}: {e.Message}");
        }
    }

    private void Fail(string reason)
    {
        if (_error != reason && _rules is not null)
        {
            log.Warning($"{Name}: {reason}: using the rules that were read before");
        }
        else if (_error is not null && _error != reason)
        {
            log.Warning($"{Name} is unavailable. {reason}");
        }

        _error = reason;
    }
}
