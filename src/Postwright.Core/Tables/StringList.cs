using System.Diagnostics.CodeAnalysis;

namespace Postwright.Core.Tables;

/// <summary>A list of whole strings and tables, such as <c>authorized_submit_users</c>.</summary>
[SuppressMessage("Naming", "CA1711", Justification = "The lists are what Postfix calls them.")]
public sealed class StringList : MatchList
{
    private StringList(TableRegistry registry, string title, string patterns, bool fold)
        : base(registry, title, patterns, fold)
    {
    }

    /// <summary>Opens the list.</summary>
    /// <param name="registry">Owner of the tables.</param>
    /// <param name="title">The parameter's name.</param>
    /// <param name="patterns">The parameter's value.</param>
    /// <param name="fold">False when upper and lower case differ.</param>
    public static StringList Open(TableRegistry registry, string title, string patterns, bool fold = true) =>
        new(registry, title, patterns, fold);

    /// <summary>Is <paramref name="text"/> in the list?</summary>
    public ValueTask<MatchResult> MatchAsync(string text, CancellationToken cancellationToken = default) =>
        MatchAsync(Fold ? TableText.Fold(text, Use) : text, MatchesAsync, cancellationToken);

    private ValueTask<MatchResult> MatchesAsync(string text, Pattern pattern, CancellationToken cancellationToken) =>
        pattern.Table is { } table
            ? AskAsync(table, text, cancellationToken)
            : new(string.Equals(text, pattern.Text, StringComparison.Ordinal) ? MatchResult.Match : MatchResult.NoMatch);
}
