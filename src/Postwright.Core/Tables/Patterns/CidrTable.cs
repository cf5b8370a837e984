namespace Postwright.Core.Tables.Patterns;

// cidr_table(5): rules "net/mask result" in order, "!" in front turns a pattern round (within its address family), IF and
// ENDIF enclose rules that count only inside a block. Keys that are no addresses match nothing. A rule that cannot be
// read is warned of and left out; so is an IF, whose ENDIF then has none.

/// <summary><c>cidr:/file</c>.</summary>
internal sealed class CidrTable(string name, string path, TableOpener opener)
    : TextFileTable<CidrTable.Rules>(name, path, opener.Log, opener.Time)
{
    /// <summary>So many plain rules in a row are asked through an index.</summary>
    private const int LongRun = 16;

    /// <summary>The rules in order.</summary>
    /// <param name="All">All of them.</param>
    /// <param name="Runs">The index of the run of plain rules that begins at that rule, and the index behind its last one.</param>
    internal sealed record Rules(Rule[] All, Dictionary<int, (CidrIndex Index, int End)> Runs);

    /// <summary>A rule: an IF has no result, and the index behind its ENDIF; an ENDIF is left out.</summary>
    internal readonly record struct Rule(AddressPattern Pattern, bool Match, string? Result, int BehindBlock);

    public override bool MatchesWholeKeysOnly => true;

    /// <summary>Opens a file or rules in braces.</summary>
    public static ILookupTable Open(TableOpener opener, string name, string rest)
    {
        var table = new CidrTable(name, rest, opener);
        if (rest.StartsWith('{'))
        {
            List<LogicalLine>? lines = InlineRules.Parse("cidr", rest, out string? error);
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
        var open = new Stack<(int Index, int Line)>();
        foreach (LogicalLine line in lines)
        {
            string where = $"cidr map {Path}, line {line.Number}: ";
            string text = line.Trimmed;
            if (InlineRules.StartsWithWord(text, "ENDIF"))
            {
                if (text.Length > 5)
                {
                    warn($"{where}garbage after ENDIF: skipping this rule");
                }
                else if (open.TryPop(out (int Index, int Line) block))
                {
                    rules[block.Index] = rules[block.Index] with { BehindBlock = rules.Count };
                }
                else
                {
                    warn($"{where}ENDIF without IF: skipping this rule");
                }

                continue;
            }

            bool isIf = InlineRules.StartsWithWord(text, "IF");
            if (ParseRule(isIf ? text[2..] : text, isIf, out Rule rule) is { } problem)
            {
                warn($"{where}{problem}: skipping this rule");
                continue;
            }

            if (isIf)
            {
                open.Push((rules.Count, line.Number));
            }

            rules.Add(rule);
        }

        foreach ((int index, int line) in open)
        {
            // Postfix's block without an end reaches to the end of the file.
            rules[index] = rules[index] with { BehindBlock = rules.Count };
            warn($"cidr map {Path}, line {line}: IF has no matching ENDIF");
        }

        return new Rules([.. rules], FindRuns(rules));
    }

    private static Dictionary<int, (CidrIndex Index, int End)> FindRuns(List<Rule> rules)
    {
        // A run ends where an IF's block does, for whoever passes the block over goes on from there.
        HashSet<int> ends = [.. rules.Where(rule => rule.Result is null).Select(rule => rule.BehindBlock)];
        var runs = new Dictionary<int, (CidrIndex Index, int End)>();
        for (int start = 0; start < rules.Count;)
        {
            int end = start;
            while (end < rules.Count && rules[end] is { Match: true, Result: not null } && (end == start || !ends.Contains(end)))
            {
                end++;
            }

            if (end - start >= LongRun)
            {
                runs.Add(start, (new CidrIndex([.. rules.GetRange(start, end - start).Select(rule => rule.Pattern)]), end));
            }

            start = Math.Max(end, start + 1);
        }

        return runs;
    }

    protected override LookupResult Lookup(Rules rules, string key)
    {
        if (AddressPattern.ParseAddress(key) is not { } address)
        {
            return LookupResult.NotFound;
        }

        for (int i = 0; i < rules.All.Length; i++)
        {
            if (rules.Runs.TryGetValue(i, out (CidrIndex Index, int End) run))
            {
                int found = run.Index.Find(address);
                if (found >= 0)
                {
                    return LookupResult.Found(rules.All[i + found].Result!);
                }

                i = run.End - 1;
                continue;
            }

            Rule rule = rules.All[i];
            bool hit = rule.Pattern.IsFamilyOf(address) && rule.Pattern.Contains(address) == rule.Match;
            if (hit && rule.Result is not null)
            {
                return LookupResult.Found(rule.Result);
            }

            if (!hit && rule.Result is null)
            {
                i = rule.BehindBlock - 1;
            }
        }

        return LookupResult.NotFound;
    }

    private string? ParseRule(string text, bool isIf, out Rule rule)
    {
        rule = default;
        bool match = true;
        int at = 0;
        while (at < text.Length && (text[at] == '!' || LogicalLines.White.Contains(text[at])))
        {
            match ^= text[at++] == '!';
        }

        if (at == text.Length)
        {
            return "no address pattern";
        }

        int end = isIf ? -1 : text.AsSpan(at).IndexOfAny(LogicalLines.White);
        string pattern = end < 0 ? text[at..] : text.Substring(at, end);
        string result = end < 0 ? "" : text[(at + end)..].Trim(LogicalLines.White);
        if (!AddressPattern.TryParse(pattern, out AddressPattern parsed, out string error))
        {
            return error;
        }

        if (!isIf && result.Length == 0)
        {
            return "no lookup result";
        }

        if (!isIf)
        {
            string? value = opener.ValueOf(result, out string? problem);
            if (value is null)
            {
                return problem;
            }

            result = value;
        }

        rule = new Rule(parsed, match, isIf ? null : result, 0);
        return null;
    }
}
