using System.Globalization;
using System.Text;

namespace Postwright.Core.Configuration.Bounce;

/// <summary>
/// Expands a template's text for one configuration: <c>$name</c> of main.cf, and the two times in any unit
/// (<c>$delay_warning_time_hours</c>). What it makes is what a notice says and what <c>postconf -b</c> shows.
/// </summary>
/// <param name="parameters">A parameter's expanded value by name, or null.</param>
/// <param name="lifetime">maximal_queue_lifetime.</param>
public sealed class BounceText(Func<string, string?> parameters, TimeSpan lifetime)
{
    /// <summary>A number with more digits reads badly: Postfix then asks for a larger unit.</summary>
    private const long Readable = 999;

    private static readonly IdnMapping Idn = new();

    private static readonly Dictionary<string, int> UnitSeconds = new(StringComparer.Ordinal)
    {
        ["seconds"] = 1,
        ["minutes"] = 60,
        ["hours"] = 3600,
        ["days"] = 86400,
        ["weeks"] = 604800,
    };

    /// <summary>The text of a configuration.</summary>
    public static BounceText Of(MailConfiguration configuration)
    {
        bool international = configuration.GetBool("smtputf8_enable");
        return new BounceText(
            name => configuration.LookUp(name) is not { } value ? null
                : ToUnicode(name, configuration.Expand(value, name), international),
            configuration.GetTime("maximal_queue_lifetime"));
    }

    /// <summary>Expands.</summary>
    /// <param name="template">The template.</param>
    /// <param name="delay">The delay that is told of; zero where none is.</param>
    /// <param name="warn">Takes what may be read badly, in Postfix's words.</param>
    /// <param name="text">The text, a byte a character, lines ended by LF; up to the error where there is one.</param>
    /// <returns>What is wrong with a <c>$name</c>, or null.</returns>
    public string? Expand(BounceTemplate template, TimeSpan delay, Action<string> warn, out string text)
    {
        var result = new StringBuilder();
        text = "";
        string? trouble = null;
        foreach (string line in Readably(template, delay))
        {
            bool failed = false;
            MacroExpander.Result expanded = MacroExpander.Expand(
                line,
                name => Value(template, name, delay, warn, wrong => trouble ??= wrong),
                problem =>
                {
                    failed = true;
                    warn(problem);
                },
                recurse: false);
            trouble ??= failed ? $"{template.Origin}: bad $name syntax in {template.Name} template: {line}"
                : expanded.Undefined ? $"{template.Origin}: undefined $name in {template.Name} template: {line}"
                : null;
            if (trouble is not null)
            {
                break;
            }

            result.Append(expanded.Text).Append('\n');
        }

        text = result.ToString();
        return trouble;
    }

    /// <summary>The built-in text counts a delay of less than an hour in minutes or seconds, since "0 hour(s)" tells nothing.</summary>
    private static IEnumerable<string> Readably(BounceTemplate template, TimeSpan delay)
    {
        string unit = delay.TotalMinutes >= 1 ? "minute" : "second";
        return template.Origin != BounceTemplate.BuiltInOrigin || delay == TimeSpan.Zero || delay.TotalHours >= 1
            ? template.Lines
            : template.Lines.Select(line => line.Replace("$delay_warning_time_hours hour(s)", $"$delay_warning_time_{unit}s {unit}(s)", StringComparison.Ordinal));
    }

    private string? Value(BounceTemplate template, string name, TimeSpan delay, Action<string> warn, Action<string> fail)
    {
        foreach ((string start, TimeSpan time) in (ReadOnlySpan<(string, TimeSpan)>)[("delay_warning_time_", delay), ("maximal_queue_lifetime_", lifetime)])
        {
            if (!name.StartsWith(start, StringComparison.Ordinal))
            {
                continue;
            }

            string unit = name[start.Length..];
            if (!UnitSeconds.TryGetValue(unit, out int seconds))
            {
                fail($"{template.Origin}: unrecognized suffix \"{unit}\" in parameter \"{name}\"");
                return "";
            }

            long number = (long)time.TotalSeconds / seconds;
            Judge(template, name, unit, number, time, warn);
            return number.ToString(CultureInfo.InvariantCulture);
        }

        // A byte a character, as in the template.
        return parameters(name) is { } value ? Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(value)) : null;
    }

    private static void Judge(BounceTemplate template, string name, string unit, long number, TimeSpan time, Action<string> warn)
    {
        string? advice = number > Readable && unit != "weeks" ? "increase" : number == 0 && time > TimeSpan.Zero ? "reduce" : null;
        if (advice is not null)
        {
            string result = advice == "increase" ? $"excessive result \"{number}\"" : "zero result";
            warn($"{template.Origin}: {result} in {template.Name} template conversion of parameter \"{name}\"");
            warn($"please {advice} time unit \"{unit}\" of \"{name}\" in {template.Name} template");
            warn("for instructions see the bounce(5) manual");
        }
    }

    private static string ToUnicode(string name, string value, bool international)
    {
        if (!international || name is not ("myhostname" or "mydomain"))
        {
            return value;
        }

        try
        {
            return Idn.GetUnicode(value);
        }
        catch (ArgumentException)
        {
            // No name at all; start refuses it.
            return value;
        }
    }
}
