namespace Postwright.Core.Configuration.Check;

/// <summary>Collects findings, each once, with the place where a parameter is set.</summary>
internal sealed class CheckReport(MailConfiguration configuration)
{
    private readonly HashSet<ConfigurationFinding> _findings = [];

    public void Add(FindingSeverity severity, string file, int line, string text)
        => _findings.Add(new ConfigurationFinding(severity, file, line, text));

    public void Warn(string file, int line, string text) => Add(FindingSeverity.Warning, file, line, text);

    /// <summary>Warns at the line of main.cf that sets a parameter.</summary>
    public void Warn(string parameter, string text)
    {
        Setting? setting = configuration.Settings.FirstOrDefault(s => s.Name == parameter);
        Warn(setting?.File ?? ConfigurationFile.In(configuration.ConfigDirectory, "main.cf"), setting?.Line ?? 0, text);
    }

    /// <summary>Stops start, at the line of main.cf that sets a parameter.</summary>
    public void Error(string parameter, string text)
    {
        Setting? setting = configuration.Settings.FirstOrDefault(s => s.Name == parameter);
        Add(FindingSeverity.Error, setting?.File ?? ConfigurationFile.In(configuration.ConfigDirectory, "main.cf"), setting?.Line ?? 0, text);
    }

    public IReadOnlyList<ConfigurationFinding> Sorted()
        => [.. _findings.OrderByDescending(f => f.Severity).ThenBy(f => f.File, StringComparer.Ordinal)
            .ThenBy(f => f.Line).ThenBy(f => f.Text, StringComparer.Ordinal)];
}
