using System.Diagnostics.CodeAnalysis;

namespace Postwright.Core.Tables;

/// <summary>What a match list says.</summary>
public enum MatchResult
{
    /// <summary>Not in the list, or excluded by a <c>!pattern</c>.</summary>
    NoMatch,

    /// <summary>In the list.</summary>
    Match,

    /// <summary>A table or pattern of the list could not be used before an answer was found: defer.</summary>
    TemporaryError,
}

// Lists of patterns (mydestination, mynetworks, ...): the first pattern that matches decides, "!" in front turns its answer
// round, "/file" is replaced by the file's content, "type:table" is asked. Files are read when the list is opened (a reload
// reads them anew), tables as their own kind says. An unusable pattern ends the search with TemporaryError, since what it
// would have said is unknown. Warnings name the parameter (the title).

/// <summary>A list of patterns; what a pattern means is the derived kind's.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "The lists are what Postfix calls them.")]
public abstract class MatchList
{
    /// <summary>Files within files within a list; deeper nesting is a loop.</summary>
    private const int MaxFileDepth = 20;

    /// <summary>Files of one list altogether: a file that names itself twice would be read a million times within the depth.</summary>
    private const int MaxFiles = 1000;

    private readonly List<Pattern> _patterns = [];
    private readonly TableRegistry _registry;
    private int _files;

    private protected MatchList(TableRegistry registry, string title, string patterns, bool fold)
    {
        _registry = registry;
        Title = title;
        Fold = fold;
        Add(patterns, match: true, depth: 0);
        Tables = [.. _patterns.Where(pattern => pattern.Table is not null).Select(pattern => pattern.Table!)];
    }

    /// <summary>The parameter the list came from.</summary>
    public string Title { get; }

    /// <summary>The tables in the list, in order.</summary>
    public IReadOnlyList<ILookupTable> Tables { get; }

    /// <summary>True when the list has no pattern.</summary>
    public bool IsEmpty => _patterns.Count == 0;

    private protected bool Fold { get; }

    private protected TableUse Use => _registry.Use;

    private protected readonly record struct Pattern(string Text, bool Match, ILookupTable? Table);

    /// <summary>The first pattern's answer, by <paramref name="matches"/>.</summary>
    private protected async ValueTask<MatchResult> MatchAsync<TSubject>(
        TSubject subject, Func<TSubject, Pattern, CancellationToken, ValueTask<MatchResult>> matches, CancellationToken cancellationToken)
    {
        foreach (Pattern pattern in _patterns)
        {
            switch (await matches(subject, pattern, cancellationToken))
            {
                case MatchResult.Match:
                    return pattern.Match ? MatchResult.Match : MatchResult.NoMatch;
                case MatchResult.TemporaryError:
                    return MatchResult.TemporaryError;
                default:
                    break;
            }
        }

        return MatchResult.NoMatch;
    }

    /// <summary>Asks a table of the list, with the list's warning when it cannot answer.</summary>
    private protected async ValueTask<MatchResult> AskAsync(ILookupTable table, string key, CancellationToken cancellationToken)
    {
        LookupResult result = await table.LookupAsync(key, cancellationToken);
        if (result.Status == LookupStatus.TemporaryError)
        {
            Warn($"{table.Name}: table lookup problem");
            return MatchResult.TemporaryError;
        }

        return result.IsFound ? MatchResult.Match : MatchResult.NoMatch;
    }

    /// <summary>One pattern against one name, shared with the list of host names and addresses.</summary>
    private protected async ValueTask<MatchResult> MatchDomainAsync(
        string domain, Pattern pattern, bool parents, CancellationToken cancellationToken)
    {
        if (pattern.Table is { } table)
        {
            for (int at = 0; at < domain.Length;)
            {
                if (at == 0 || !table.MatchesWholeKeysOnly)
                {
                    MatchResult result = await AskAsync(table, domain[at..], cancellationToken);
                    if (result != MatchResult.NoMatch)
                    {
                        return result;
                    }
                }

                int dot = at + 1 < domain.Length ? domain.IndexOf('.', at + 1) : -1;
                if (dot < 0)
                {
                    break;
                }

                at = parents ? dot + 1 : dot;
            }

            return MatchResult.NoMatch;
        }

        if (domain == pattern.Text)
        {
            return MatchResult.Match;
        }

        bool below = domain.Length > pattern.Text.Length && domain.EndsWith(pattern.Text, StringComparison.Ordinal)
            && (parents ? domain[^(pattern.Text.Length + 1)] == '.' : pattern.Text.StartsWith('.'));
        return below ? MatchResult.Match : MatchResult.NoMatch;
    }

    private protected void Warn(string text) => _registry.Log.Warning($"{Title}: {text}");

    private static bool IsTable(string item) => item[0] != '[' && item.Contains(':', StringComparison.Ordinal);

    private void Add(string text, bool match, int depth)
    {
        foreach (string raw in BraceList.Split(text))
        {
            if (raw[0] == '#')
            {
                int at = text.IndexOf(raw, StringComparison.Ordinal);
                string rest = text[at..];
                Warn($"#comment after other text is not allowed: {(rest.Length > 20 ? rest[..20] : rest)} ...");
                return;
            }

            string item = raw.TrimStart('!');
            bool itemMatch = (raw.Length - item.Length) % 2 == 0 ? match : !match;
            if (item.Length == 0)
            {
                Warn($"no pattern after '!' in \"{raw}\"");
            }
            else if (item[0] == '/')
            {
                AddFile(item, itemMatch, depth);
            }
            else if (IsTable(item))
            {
                _patterns.Add(new Pattern(item, itemMatch, _registry.Open(item)));
            }
            else
            {
                _patterns.Add(new Pattern(Fold ? TableText.Fold(item, Use) : item, itemMatch, null));
            }
        }
    }

    private void AddFile(string path, bool match, int depth)
    {
        string? trouble = depth >= MaxFileDepth ? "files are nested too deeply" : ++_files > MaxFiles ? $"more than {MaxFiles} files in one list" : null;
        try
        {
            using Stream? file = trouble is null ? TableFile.Open(path, out trouble) : null;
            if (file is not null)
            {
                foreach (LogicalLine line in LogicalLines.Read(file, TableFile.MaxSize))
                {
                    Add(line.Trimmed, match, depth + 1);
                }

                return;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            trouble = e.Message;
        }

        string name = $"non-existent:{path}";
        _registry.Log.Error($"open file {path}: {trouble}");
        _patterns.Add(new Pattern(name, match, new UnavailableTable(name, $"open file {path}: {trouble}", _registry.Log)));
    }
}
