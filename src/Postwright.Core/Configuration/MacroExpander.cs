using System.Text;

namespace Postwright.Core.Configuration;

/// <summary>Finds a parameter's unexpanded value by name; null when there is no such parameter.</summary>
public delegate string? MacroLookup(string name);

/// <summary>
/// The <c>$name</c> language of main.cf: <c>$name</c>, <c>${name}</c>, <c>$(name)</c>, <c>${name?text}</c>, <c>${name:text}</c>,
/// <c>${name?{a}:{b}}</c>, <c>${{a} == {b} ? {c} : {d}}</c> with the operators == != &lt; &lt;= &gt;= &gt; (each also with the
/// suffix <c>level</c>, for compatibility levels, or <c>length</c>), <c>${function{text}}</c>, and <c>$$</c>.
/// Values are expanded again, to a depth of 100. A syntax error ends the expansion where it stands and is reported; nothing
/// is thrown. The size of the result is limited, since nesting can multiply text.
/// </summary>
public sealed class MacroExpander
{
    /// <summary>Postfix's limit on nested references; a value that refers to itself runs into it.</summary>
    public const int NestingLimit = 100;

    /// <summary>More text than any parameter needs; without a limit a few lines could expand to terabytes.</summary>
    public const int ResultLimit = 1 << 20;

    private readonly MacroLookup _lookup;
    private readonly Func<string, Func<string, string>?>? _functions;
    private readonly Action<string>? _report;
    private readonly StringBuilder _result;
    private readonly bool _recurse;
    private int _level;
    private int _expressions;
    private bool _failed;
    private bool _undefined;

    private MacroExpander(MacroLookup lookup, Action<string>? report, Func<string, Func<string, string>?>? functions, bool recurse)
        : this(lookup, report, functions, recurse, new StringBuilder())
    {
    }

    private MacroExpander(MacroLookup lookup, Action<string>? report, Func<string, Func<string, string>?>? functions, bool recurse, StringBuilder result)
    {
        _lookup = lookup;
        _report = report;
        _functions = functions;
        _recurse = recurse;
        _result = result;
    }

    /// <summary>What an expansion came to.</summary>
    /// <param name="Text">The expanded text; where <paramref name="Failed"/>, what came before the error.</param>
    /// <param name="Failed">True after a syntax error, which was reported.</param>
    /// <param name="Undefined">True when a name had no value.</param>
    public readonly record struct Result(string Text, bool Failed, bool Undefined);

    /// <summary>Expands a text.</summary>
    /// <param name="text">The text with references.</param>
    /// <param name="lookup">Where names are found.</param>
    /// <param name="report">Takes a description of each syntax error.</param>
    /// <param name="functions">Finds a named function for <c>${name{text}}</c>; null for none.</param>
    /// <param name="recurse">False leaves the values of names as they are (one level, as log and reply templates want it).</param>
    public static Result Expand(
        string text, MacroLookup lookup, Action<string>? report = null, Func<string, Func<string, string>?>? functions = null, bool recurse = true)
    {
        if (!text.Contains('$', StringComparison.Ordinal))
        {
            return new Result(text, false, false);
        }

        var expander = new MacroExpander(lookup, report, functions, recurse);
        expander.Parse(text);
        return new Result(expander._result.ToString(), expander._failed, expander._undefined);
    }

    internal static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c == '_';

    private void Parse(string text)
    {
        int at = 0;
        while (at < text.Length && !_failed)
        {
            if (text[at] != '$')
            {
                int dollar = text.IndexOf('$', at);
                dollar = dollar < 0 ? text.Length : dollar;
                Append(text.AsSpan(at, dollar - at));
                at = dollar;
            }
            else if (at + 1 < text.Length && text[at + 1] == '$')
            {
                Append("$");
                at += 2;
            }
            else
            {
                at = ParseReference(text, at + 1);
            }
        }
    }

    private int ParseReference(string text, int at)
    {
        if (at < text.Length && text[at] is '{' or '(')
        {
            int end = FindClosing(text, at);
            if (end < 0)
            {
                Fail($"truncated macro reference: \"{text}\"");
                return text.Length;
            }

            Evaluate(text[(at + 1)..end]);
            return end + 1;
        }

        int stop = at;
        while (stop < text.Length && IsNameCharacter(text[stop]))
        {
            stop++;
        }

        Evaluate(text[at..stop]);
        return stop;
    }

    /// <summary>The index of the bracket that closes the one at <paramref name="open"/>, or -1.</summary>
    internal static int FindClosing(string text, int open)
    {
        char opening = text[open];
        char closing = opening == '{' ? '}' : ')';
        int depth = 0;
        for (int i = open; i < text.Length; i++)
        {
            if (text[i] == opening)
            {
                depth++;
            }
            else if (text[i] == closing && --depth == 0)
            {
                return i;
            }
        }

        return -1;
    }

    private void Evaluate(string expression)
    {
        // Breadth is bounded as well: a value of n references nested d deep costs n to the power d.
        if (_level++ >= NestingLimit || ++_expressions > 100_000)
        {
            Fail($"unreasonable macro call nesting: \"{Excerpt(expression, 0, 80)}\"");
        }
        else if (expression.StartsWith('{'))
        {
            EvaluateRelation(expression);
        }
        else
        {
            EvaluateName(expression);
        }

        _level--;
    }

    private void EvaluateName(string expression)
    {
        int at = SkipSpace(expression, 0);
        int start = at;
        while (at < expression.Length && IsNameCharacter(expression[at]))
        {
            at++;
        }

        string name = expression[start..at];
        int end = SkipSpace(expression, at);
        if (end < expression.Length && expression[end] == '{')
        {
            EvaluateFunction(expression, name, end);
            return;
        }

        if (end < expression.Length && expression[end] is not ('?' or ':'))
        {
            Fail($"attribute name syntax error at: \"...{expression[..at]}>>>{Excerpt(expression, at, 20)}\"");
            return;
        }

        if (name.Length == 0)
        {
            Fail($"empty macro name: \"...{expression}\"");
            return;
        }

        string? value = _lookup(name);
        if (end < expression.Length)
        {
            bool isSet = _recurse && value is not null ? ExpandApart(value).Length > 0 : !string.IsNullOrEmpty(value);
            Choose(expression, end, isSet);
        }
        else if (value is null)
        {
            _undefined = true;
        }
        else if (_recurse)
        {
            Parse(value);
        }
        else
        {
            Append(value);
        }
    }

    private void EvaluateFunction(string expression, string name, int open)
    {
        int end = FindClosing(expression, open);
        if (end < 0)
        {
            Fail($"unbalanced {{}} in attribute expression: \"{expression}\"");
            return;
        }

        int rest = SkipSpace(expression, end + 1);
        if (rest < expression.Length)
        {
            Fail($"unexpected input at: \"...{expression[(open + 1)..(end + 1)]}>>>{Excerpt(expression, rest, 20)}\"");
            return;
        }

        Func<string, string>? function = _functions?.Invoke(name);
        if (function is null)
        {
            Fail($"bad named function call: \"{expression}\"");
            return;
        }

        Append(function(ExpandApart(expression[(open + 1)..end].Trim())));
    }

    private void EvaluateRelation(string expression)
    {
        int at = 0;
        if (!TakeBraced(expression, ref at, out string left))
        {
            return;
        }

        string context = expression[..at].TrimEnd()[1..];
        string? comparison = MacroComparison.Operators.FirstOrDefault(o => string.CompareOrdinal(expression, at, o, 0, o.Length) == 0);
        if (comparison is null)
        {
            Fail($"\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...{context}>>>{Excerpt(expression, at, 20)}\"");
            return;
        }

        at += comparison.Length;
        int start = at;
        while (at < expression.Length && char.IsAsciiLetterOrDigit(expression[at]))
        {
            at++;
        }

        string suffix = expression[start..at];
        if (suffix is not ("" or "level" or "length"))
        {
            Fail($"bad operator suffix at: \"...{comparison}>>>{Excerpt(suffix, 0, 20)}\"");
            return;
        }

        at = SkipSpace(expression, at);
        if (at >= expression.Length || expression[at] != '{')
        {
            Fail($"\"{{expression}}\" expected at: \"...{{{context} {comparison}{suffix}>>>{Excerpt(expression, at, 20)}\"");
            return;
        }

        if (!TakeBraced(expression, ref at, out string right))
        {
            return;
        }

        string a = ExpandApart(left);
        string b = ExpandApart(right);
        if (_failed)
        {
            return;
        }

        bool? outcome = MacroComparison.Compare(a, b, comparison, suffix);
        if (outcome is null)
        {
            Fail($"bad compatibility level: \"{a}\" or \"{b}\"");
        }
        else if (at >= expression.Length)
        {
            Append(outcome.Value ? "true" : "");
        }
        else if (expression[at] is not ('?' or ':'))
        {
            Fail($"\"?\" or \":\" expected at: \"...}}>>>{Excerpt(expression, at, 20)}\"");
        }
        else
        {
            Choose(expression, at, outcome.Value);
        }
    }

    /// <summary>Takes <c>?{a}:{b}</c>, <c>?text</c> or <c>:text</c> apart and expands the branch that holds.</summary>
    private void Choose(string expression, int at, bool isTrue)
    {
        string? whenTrue = null;
        string? whenFalse = null;
        string? trouble = null;
        if (expression[at] == '?')
        {
            at++;
            int brace = SkipSpace(expression, at);
            if (brace < expression.Length && expression[brace] == '{')
            {
                at = brace;
                if (!TakeBraced(expression, ref at, out whenTrue))
                {
                    return;
                }

                if (at < expression.Length && expression[at] != ':')
                {
                    trouble = $"\":\" expected at: \"...{whenTrue}}}>>>{Excerpt(expression, at, 20)}\"";
                    at = expression.Length;
                }
            }
            else
            {
                whenTrue = expression[at..];
                at = expression.Length;
            }
        }

        if (at < expression.Length)
        {
            at++;
            int brace = SkipSpace(expression, at);
            if (brace < expression.Length && expression[brace] == '{')
            {
                at = brace;
                if (!TakeBraced(expression, ref at, out whenFalse))
                {
                    return;
                }

                trouble = at < expression.Length ? $"unexpected input at: \"...{whenFalse}}}>>>{Excerpt(expression, at, 20)}\"" : null;
            }
            else
            {
                whenFalse = expression[at..];
            }
        }

        if (trouble is not null)
        {
            Report(trouble);
        }

        string? branch = isTrue ? whenTrue : whenFalse;
        if (branch is not null)
        {
            Parse(branch);
        }

        _failed |= trouble is not null;
    }

    /// <summary>Takes a <c>{text}</c> at <paramref name="at"/>, and the white space around it.</summary>
    private bool TakeBraced(string expression, ref int at, out string payload)
    {
        int end = FindClosing(expression, at);
        if (end < 0)
        {
            payload = "";
            Fail($"unbalanced {{}} in attribute expression: \"{expression}\"");
            return false;
        }

        payload = expression[(at + 1)..end].Trim();
        at = SkipSpace(expression, end + 1);
        return true;
    }

    private string ExpandApart(string text)
    {
        if (!text.Contains('$', StringComparison.Ordinal))
        {
            return text;
        }

        var inner = new MacroExpander(_lookup, _report, _functions, _recurse, new StringBuilder()) { _level = _level, _expressions = _expressions };
        inner.Parse(text);
        _expressions = inner._expressions;
        _failed |= inner._failed;
        _undefined |= inner._undefined;
        return inner._result.ToString();
    }

    private static int SkipSpace(string text, int at)
    {
        while (at < text.Length && ConfigurationText.IsSpace(text[at]))
        {
            at++;
        }

        return at;
    }

    private static string Excerpt(string text, int at, int length)
        => at >= text.Length ? "" : text.Substring(at, Math.Min(length, text.Length - at));

    private void Append(ReadOnlySpan<char> text)
    {
        if (_result.Length + text.Length > ResultLimit)
        {
            Fail($"a value expands to more than {ResultLimit} characters");
            return;
        }

        _result.Append(text);
    }

    private void Fail(string what)
    {
        if (!_failed)
        {
            Report(what);
        }

        _failed = true;
    }

    private void Report(string what) => _report?.Invoke(what);
}
