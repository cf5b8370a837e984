namespace Postwright.Core.Configuration.Postconf;

/// <summary>Shows parameters: all, those set (<c>-n</c>), defaults (<c>-d</c>), or the ones named.</summary>
internal sealed class PostconfParameters(MailConfiguration configuration, ParameterUsage usage, TextWriter output, Action<string> warn)
{
    public void Show(PostconfOptions options)
    {
        if (options.Names.Count == 0)
        {
            foreach (string name in AllNames(options))
            {
                ShowOne(options, name);
            }

            return;
        }

        foreach (string name in options.Names)
        {
            if (Selected(name, options) is null)
            {
                warn($"{name}: unknown parameter");
            }
            else
            {
                ShowOne(options, name);
            }
        }
    }

    private IEnumerable<string> AllNames(PostconfOptions options)
    {
        // What is not set is not shown with -n, so it need not be looked at.
        IEnumerable<string> candidates = options.Has('n')
            ? configuration.Settings.Select(setting => setting.Name).Append("config_directory")
            : ParameterTable.All
                .Where(row => row.Scope is ParameterScope.Builtin or ParameterScope.Ours
                    || (row.Scope == ParameterScope.Legacy && configuration.IsSet(row.Name)))
                .Select(row => row.Name)
                .Concat(usage.ServiceParameters.Keys).Concat(usage.UserParameters.Keys);
        return candidates
            .Distinct()
            .Where(name => Selected(name, options) is not null)
            .Order(StringComparer.Ordinal);
    }

    /// <summary>The class of a name when <c>-C</c> selects it; null when it does not or the name is unknown.</summary>
    private string? Selected(string name, PostconfOptions options)
    {
        string? kind = usage.ServiceParameters.ContainsKey(name) && ParameterTable.Find(name) is { Scope: ParameterScope.Transport } ? "service"
            : usage.IsKnown(name) ? "builtin"
            : usage.UserParameters.ContainsKey(name) ? "user"
            : null;
        return kind is null || options.Classes is null || options.Classes.Contains(kind) ? kind : null;
    }

    private void ShowOne(PostconfOptions options, string name)
    {
        if (options.Has('n') && !configuration.ShowsAsSet(name) && !(name == "config_directory" && IsOtherDirectory))
        {
            return;
        }

        ParameterDefinition? row = usage.FindRow(name);
        string value = options.Has('d') && row is not null ? configuration.DefaultOf(row)
            : row is not null ? configuration.GetUnexpanded(name)
            : usage.UserParameters[name];
        if (options.Has('x') && row?.Kind != ParameterKind.Raw)
        {
            value = configuration.Expand(value, name);
        }

        PostconfLine.WriteSetting(output, options, name, value);
    }

    private bool IsOtherDirectory => configuration.ConfigDirectory != "/etc/postfix";
}
