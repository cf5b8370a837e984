namespace Postwright.Core.Tables.Patterns;

/// <summary>What became of matching.</summary>
internal enum PatternOutcome
{
    NoMatch,
    Match,
    Failed,
}

/// <summary>A compiled pattern. Safe for any number of threads.</summary>
internal interface IPattern
{
    /// <summary>The number of parentheses.</summary>
    int Groups { get; }

    /// <summary>Matches; start and end of the whole and of each group go to <paramref name="spans"/>, -1 for groups that took no part.</summary>
    PatternOutcome Match(ReadOnlySpan<byte> subject, Span<int> spans, out string? error);
}

/// <summary>A kind of pattern: regexp or pcre.</summary>
internal interface IPatternEngine
{
    /// <summary>The table type, for messages.</summary>
    string Kind { get; }

    /// <summary>True when <c>/a/!/b/</c> is a pattern of its own (regexp only).</summary>
    bool HasExclusions { get; }

    /// <summary>Why patterns cannot be compiled at all, or null.</summary>
    string? Unusable { get; }

    /// <summary>True for an option that means nothing any more.</summary>
    bool IsObsolete(char letter) => false;

    /// <summary>Applies one option letter to <paramref name="options"/>; false when there is none such.</summary>
    bool TryOption(char letter, ref uint options);

    /// <summary>The options that hold without letters.</summary>
    uint DefaultOptions { get; }

    /// <summary>True if under these options a letter of a pattern stands for itself, in any case, and blanks count.</summary>
    bool HasPlainText(uint options);

    /// <summary>Compiles; null and Postfix's words when the pattern is malformed.</summary>
    IPattern? Compile(string pattern, uint options, out string? error);
}
