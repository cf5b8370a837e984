using System.Text;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>Shows master.cf: rows (<c>-M</c>), fields (<c>-F</c>), overrides (<c>-P</c>).</summary>
internal sealed class PostconfServices(MailConfiguration configuration, TextWriter output, Action<string> warn)
{
    /// <summary>The names of the eight fields, as <c>-F</c> calls them.</summary>
    public static readonly string[] FieldNames = ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

    private static readonly int[] ColumnGoal = [0, 11, 17, 25, 33, 41, 49, 57];

    /// <summary>Shows what the command line names; the text of a fatal error, or null.</summary>
    public string? Show(PostconfOptions options)
    {
        List<(string Text, string[] Parts)> requests = [.. options.Names.Select(n => (n, n.Split('/')))];
        foreach ((_, string[] parts) in requests)
        {
            if (Explain(options, parts) is { } trouble)
            {
                return trouble;
            }
        }

        if (requests.Count == 0)
        {
            requests.Add(("*", ["*"]));
        }

        // Postfix tells of a request that matches nothing before it shows the rest.
        foreach ((string text, string[] parts) in requests)
        {
            if (!configuration.Rows.Any(service => Matches(options, service, parts)) && text != "*")
            {
                warn($"unmatched request: \"{text}\"");
            }
        }

        foreach (MasterService service in configuration.Rows)
        {
            foreach ((_, string[] parts) in requests)
            {
                if (Matches(parts, 0, service.Name) && Matches(parts, 1, service.Type))
                {
                    ShowService(options, service, parts);
                }
            }
        }

        return null;
    }

    private static string? Explain(PostconfOptions options, string[] parts)
        => parts.Length > (options.Has('M') ? 2 : 3)
            ? options.Has('M') ? "-M option requires service_name[/type]"
                : options.Has('F') ? "-F option requires service_name[/type[/field]]"
                : "-P option requires service_name[/type[/parameter]]"
            : options.Has('F') && parts.Length == 3 && parts[2] != "*" && !FieldNames.Contains(parts[2])
                ? $"invalid service attribute name: \"{parts[2]}\""
                : null;

    private static bool Matches(PostconfOptions options, MasterService service, string[] parts)
        => Matches(parts, 0, service.Name) && Matches(parts, 1, service.Type)
            && (!options.Has('P') || parts.Length < 3 || service.Overrides.Any(o => Matches(parts, 2, o.Key)));

    private static bool Matches(string[] parts, int index, string value)
        => index >= parts.Length || parts[index] is "*" || parts[index] == value;

    private void ShowService(PostconfOptions options, MasterService service, string[] parts)
    {
        string prefix = $"{service.Name}/{service.Type}/";
        if (options.Has('M'))
        {
            output.Write(Row(service, options.Has('f'), options.Has('x')) + "\n");
        }
        else if (options.Has('F'))
        {
            for (int field = 0; field < FieldNames.Length; field++)
            {
                if (Matches(parts, 2, FieldNames[field]))
                {
                    ShowField(options, prefix + FieldNames[field], service, field);
                }
            }
        }
        else
        {
            foreach ((string name, string value) in service.Overrides
                .GroupBy(o => o.Key).Select(g => g.Last()).OrderBy(o => o.Key, StringComparer.Ordinal))
            {
                if (Matches(parts, 2, name))
                {
                    PostconfLine.WriteSetting(output, options, prefix + name, options.Has('x') ? Expand(service, value) : value);
                }
            }
        }
    }

    private void ShowField(PostconfOptions options, string name, MasterService service, int field)
    {
        if (field < 7)
        {
            PostconfLine.WriteSetting(output, options, name, FieldOf(service, field));
            return;
        }

        if (options.Has('H'))
        {
            output.Write(name + "\n");
            return;
        }

        var line = new StringBuilder(options.Has('h') ? "" : name + " = ").Append(service.Command);
        AppendArguments(line, service, options.Has('f'), options.Has('x'), line.Length);
        output.Write(line.Append('\n'));
    }

    private static string FieldOf(MasterService service, int field)
        => field switch { 0 => service.Name, 1 => service.Type, 7 => service.Command, _ => service.Fields[field - 2] };

    /// <summary>A row in columns, its arguments behind it or folded below it.</summary>
    public string Row(MasterService service, bool fold, bool expand)
    {
        var line = new StringBuilder();
        for (int field = 0; field < ColumnGoal.Length; field++)
        {
            if (field > 0)
            {
                line.Append(' ', Math.Max(1, ColumnGoal[field] - line.Length));
            }

            line.Append(FieldOf(service, field));
        }

        AppendArguments(line, service, fold, expand, ColumnGoal[^1] + service.Command.Length);
        return line.ToString();
    }

    private void AppendArguments(StringBuilder line, MasterService service, bool fold, bool expand, int commandEnd)
    {
        int length = line.Length;
        bool inOptions = true;
        bool afterSetting = false;
        for (int i = 0; i < service.Arguments.Count; i++)
        {
            string argument = service.Arguments[i];
            bool wrap = afterSetting;
            afterSetting = false;
            string text;
            int width = int.MaxValue;
            if (inOptions && (!argument.StartsWith('-') || argument == "--"))
            {
                inOptions = false;
                wrap |= length > commandEnd;
            }

            if (inOptions && argument == "-o" && i + 1 < service.Arguments.Count)
            {
                wrap = afterSetting = true;
                text = "-o " + Braced(Setting(service, service.Arguments[++i], expand));
            }
            else
            {
                text = Braced(argument);
                // Postfix folds by the argument's own length and adds its braces afterwards.
                width = argument.Length;
            }

            width = Math.Min(width, text.Length);
            bool fits = !fold || (!wrap && length + 1 + width < PostconfLine.Limit);
            line.Append(fits ? " " : "\n" + PostconfLine.Indent).Append(text);
            length = (fits ? length + 1 : PostconfLine.IndentLength) + width;
        }
    }

    private string Setting(MasterService service, string setting, bool expand)
        => expand && MainCf.SplitNameValue(setting, out string name, out string value) is null ? $"{name}={Expand(service, value)}" : setting;

    private static string Braced(string argument)
        => argument.Length == 0 || argument.Any(ConfigurationText.IsSpace) || argument.StartsWith('{') ? $"{{{argument}}}" : argument;

    /// <summary>Expands an override as the service would see it: its own overrides and its name count before main.cf.</summary>
    private string Expand(MasterService service, string value)
        => MacroExpander.Expand(value, name => name switch
        {
            "service_name" => service.Name,
            _ => service.Overrides.LastOrDefault(o => o.Key == name) is { Key: not null } own ? own.Value : configuration.LookUp(name),
        }).Text;
}
