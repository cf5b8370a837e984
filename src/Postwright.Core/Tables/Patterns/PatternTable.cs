using Postwright.Core.Logging;

namespace Postwright.Core.Tables.Patterns;

// regexp_table(5) and pcre_table(5): rules "/pattern/flags result" in order, "!" in front turns a pattern round, IF and
// ENDIF enclose rules that count only where the IF's pattern matches. The first rule that matches gives the result. Rules
// that cannot be read are warned of in Postfix's words and left out. A match that fails (limits) is a temporary error,
// since what the rule would have said is unknown.

/// <summary><c>regexp:/file</c> and <c>pcre:/file</c>.</summary>
internal sealed class PatternTable : TextFileTable<PatternTable.Rules>
{
    private readonly IPatternEngine _engine;
    private readonly TableOpener _opener;
    private readonly TableSecurity _security;
    private readonly MailLog _log;

    private PatternTable(string name, string path, IPatternEngine engine, TableOpener opener)
        : base(name, path, opener.Log, opener.Time)
    {
        _engine = engine;
        _opener = opener;
        _security = opener.Security;
        _log = opener.Log;
    }

    private const string NoSubstitution = "regular expression substitution is not allowed";

    /// <summary>So many rules are chosen from by an index.</summary>
    private const int LargeTable = 32;

    /// <summary>The rules in order.</summary>
    /// <param name="All">All of them.</param>
    /// <param name="Index">Chooses those to try; null for a small table, where all are tried.</param>
    internal sealed record Rules(Rule[] All, RuleIndex? Index);

    /// <summary>A rule: an IF has no result, and the index behind its ENDIF; an ENDIF is left out.</summary>
    internal sealed record Rule(int Line, IPattern Pattern, bool Match, IPattern? Exclusion, bool ExclusionMatch, Replacement? Result)
    {
        public int BehindBlock { get; set; }

        /// <summary>Why a lookup that it applies to fails; null where it has a result.</summary>
        public string? Refusal { get; init; }

        /// <summary>What every text that it applies to must contain; empty when nothing is known.</summary>
        public byte[] Literal { get; init; } = [];
    }

    public override bool MatchesWholeKeysOnly => true;

    /// <summary>Opens a file or rules in braces.</summary>
    public static ILookupTable Open(IPatternEngine engine, TableOpener opener, string name, string rest)
    {
        if (engine.Unusable is { } reason)
        {
            return opener.Unavailable(name, reason);
        }

        var table = new PatternTable(name, rest, engine, opener);
        if (rest.StartsWith('{'))
        {
            List<LogicalLine>? lines = InlineRules.Parse(engine.Kind, rest, out string? error);
            if (lines is null)
            {
                return opener.Unavailable(name, error!);
            }

            table.UseInline(lines);
        }

        return table;
    }

    protected override Rules Parse(IEnumerable<LogicalLine> lines, Action<string> warn)
    {
        var rules = new List<Rule>();
        var open = new Stack<Rule>();
        foreach (LogicalLine line in lines)
        {
            string where = $"{_engine.Kind} map {Path}, line {line.Number}: ";
            string text = line.Trimmed;
            if (InlineRules.StartsWithWord(text, "ENDIF"))
            {
                CloseBlock(text[5..].Trim(LogicalLines.White), rules, open, where, warn);
                continue;
            }

            bool isIf = InlineRules.StartsWithWord(text, "IF");
            if (!isIf && char.IsAsciiLetterOrDigit(text[0]))
            {
                warn($"{where}ignoring unrecognized request");
                continue;
            }

            if (ParseRule(line.Number, isIf ? text[2..].TrimStart(LogicalLines.White) : text, isIf, where, warn) is { } rule)
            {
                rules.Add(rule);
                if (isIf)
                {
                    open.Push(rule);
                }
            }
        }

        foreach (Rule rule in open)
        {
            rule.BehindBlock = rules.Count;
            warn($"{_engine.Kind} map {Path}, line {rule.Line}: IF has no matching ENDIF");
        }

        return new Rules([.. rules], rules.Count < LargeTable ? null : new RuleIndex([.. rules.Select(rule => rule.Literal)]));
    }

    protected override LookupResult Lookup(Rules rules, string key)
    {
        byte[] subject = TableText.Encode(key);
        Span<int> few = stackalloc int[64];
        Span<int> unused = stackalloc int[2];
        ulong[]? candidates = rules.Index?.Candidates(subject);
        for (int i = 0; i < rules.All.Length; i++)
        {
            i = candidates is null ? i : RuleIndex.Next(candidates, i);
            if (i < 0)
            {
                break;
            }

            Rule rule = rules.All[i];
            int needed = 2 * (1 + (rule.Result?.HighestGroup ?? 0));
            Span<int> spans = needed <= few.Length ? few[..needed] : new int[needed];
            PatternOutcome outcome = Apply(rule.Pattern, rule.Match, subject, spans, out string? error);
            if (outcome == PatternOutcome.Match && rule.Exclusion is not null)
            {
                outcome = Apply(rule.Exclusion, rule.ExclusionMatch, subject, unused, out error);
            }

            if (outcome == PatternOutcome.Match && rule.Refusal is not null)
            {
                (outcome, error) = (PatternOutcome.Failed, rule.Refusal);
            }

            if (outcome == PatternOutcome.Failed)
            {
                string text = $"{_engine.Kind} map {Path}, line {rule.Line}: {error}";
                _log.Warning(text);
                return LookupResult.TemporaryError(text);
            }

            if (outcome == PatternOutcome.Match && rule.Result is not null)
            {
                return LookupResult.Found(rule.Result.Expand(subject, spans));
            }

            if (outcome == PatternOutcome.NoMatch && rule.Result is null)
            {
                i = rule.BehindBlock - 1;
            }
        }

        return LookupResult.NotFound;
    }

    private static PatternOutcome Apply(IPattern pattern, bool match, ReadOnlySpan<byte> subject, Span<int> spans, out string? error) =>
        pattern.Match(subject, spans, out error) switch
        {
            PatternOutcome.Failed => PatternOutcome.Failed,
            PatternOutcome outcome => (outcome == PatternOutcome.Match) == match ? PatternOutcome.Match : PatternOutcome.NoMatch,
        };

    private static void CloseBlock(string extra, List<Rule> rules, Stack<Rule> open, string where, Action<string> warn)
    {
        if (!open.TryPop(out Rule? block))
        {
            warn($"{where}ignoring ENDIF without matching IF");
            return;
        }

        if (extra.Length > 0)
        {
            warn($"{where}ignoring extra text after ENDIF");
        }

        block.BehindBlock = rules.Count;
    }

    private Rule? ParseRule(int line, string text, bool isIf, string where, Action<string> warn)
    {
        int at = 0;
        if (ReadPattern(text, ref at, where, warn) is not { } first)
        {
            return null;
        }

        Delimited? second = null;
        if (!isIf && _engine.HasExclusions && at < text.Length && text[at] == '!')
        {
            second = ReadPattern(text, ref at, where, warn);
            if (second is null)
            {
                return null;
            }
        }

        string rest = text[at..].Trim(LogicalLines.White);
        Replacement? result = null;
        if (isIf && rest.Length > 0)
        {
            warn($"{where}ignoring extra text after IF statement: \"{rest}\"");
            warn($"{where}do not prepend whitespace to statements between IF and ENDIF");
        }
        else if (!isIf)
        {
            result = ReadResult(rest, first.Match, where, warn);
            if (result is null)
            {
                return null;
            }
        }

        return Compile(line, first, second, result, where, warn);
    }

    private Replacement? ReadResult(string text, bool match, string where, Action<string> warn)
    {
        if (text.Length == 0)
        {
            warn($"{where}no replacement text: using empty string");
        }

        if (_opener.ValueOf(text, out string? problem) is not { } value)
        {
            warn($"{where}{problem}: skipping this rule");
            return null;
        }

        Replacement? result = Replacement.Parse(value, _engine.HasExclusions ? "out-of-range" : "out of range", where, warn);
        if (result is { HighestGroup: > 0 } && !match)
        {
            warn($"{where}$number found in negative match replacement text: skipping this rule");
            return null;
        }

        if (result is { HighestGroup: > 0 } && _security is TableSecurity.Aliases or TableSecurity.Identities)
        {
            warn($"{where}{NoSubstitution}: skipping this rule");
            return _security == TableSecurity.Aliases ? result : null;
        }

        return result;
    }

    private Rule? Compile(int line, Delimited first, Delimited? second, Replacement? result, string where, Action<string> warn)
    {
        IPattern? pattern = _engine.Compile(first.Pattern, first.Options, out string? error);
        if (pattern is null)
        {
            warn(where + error);
            return null;
        }

        if (result is not null && result.HighestGroup > pattern.Groups)
        {
            warn($"{where}out of range replacement index \"{result.HighestGroup}\": skipping this rule");
            return null;
        }

        IPattern? exclusion = second is { } other ? _engine.Compile(other.Pattern, other.Options, out error) : null;
        if (second is not null && exclusion is null)
        {
            warn(where + error);
            return null;
        }

        bool isPlain = first.Match && result is not null && _engine.HasPlainText(first.Options);
        return new Rule(line, pattern, first.Match, exclusion, second?.Match ?? true, result)
        {
            Refusal = result is { HighestGroup: > 0 } && _security == TableSecurity.Aliases ? NoSubstitution : null,
            Literal = isPlain ? RequiredLiteral.Of(first.Pattern) : [],
        };
    }

    private readonly record struct Delimited(string Pattern, uint Options, bool Match);

    /// <summary>Reads <c>!/pattern/flags</c>, whatever the delimiter.</summary>
    private Delimited? ReadPattern(string text, ref int at, string where, Action<string> warn)
    {
        bool match = true;
        while (at < text.Length && (text[at] == '!' || LogicalLines.White.Contains(text[at])))
        {
            match ^= text[at++] == '!';
        }

        if (at == text.Length)
        {
            warn($"{where}no regexp: skipping this rule");
            return null;
        }

        char delimiter = text[at++];
        int start = at;
        while (at < text.Length && text[at] != delimiter)
        {
            at += text[at] == '\\' ? 2 : 1;
        }

        if (at >= text.Length)
        {
            warn($"{where}no closing regexp delimiter \"{delimiter}\": {(_engine.HasExclusions ? "skipping" : "ignoring")} this rule");
            return null;
        }

        string pattern = text[start..at++];
        uint options = _engine.DefaultOptions;
        for (; at < text.Length && !LogicalLines.White.Contains(text[at]) && !(_engine.HasExclusions && text[at] == '!'); at++)
        {
            if (_engine.IsObsolete(text[at]))
            {
                warn($"{where}ignoring obsolete regexp option \"{text[at]}\"");
                continue;
            }

            if (!_engine.TryOption(text[at], ref options))
            {
                warn($"{where}unknown regexp option \"{text[at]}\": skipping this rule");
                return null;
            }
        }

        return new Delimited(pattern, options, match);
    }
}
