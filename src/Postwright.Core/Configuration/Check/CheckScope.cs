namespace Postwright.Core.Configuration.Check;

/// <summary>
/// Settings that count together: main.cf alone, or main.cf under one service's overrides. A check looks at
/// <see cref="Settings"/>, which are the ones set in this scope, so that nothing of main.cf is reported once a service.
/// </summary>
/// <param name="Configuration">The values as this scope sees them.</param>
/// <param name="Settings">What is set here, each with its file and line.</param>
/// <param name="Service">Whose overrides these are; null for main.cf.</param>
internal sealed record CheckScope(MailConfiguration Configuration, IReadOnlyList<Setting> Settings, MasterService? Service = null)
{
    public static IEnumerable<CheckScope> All(MailConfiguration configuration)
    {
        yield return new CheckScope(configuration, [.. configuration.Settings]);
        foreach (MasterService service in configuration.Services.Where(s => s.Overrides.Count > 0))
        {
            yield return new CheckScope(
                configuration.WithOverrides([new("service_name", service.Name), .. service.Overrides]),
                [.. service.Overrides.Select(o => new Setting(o.Key, o.Value, service.File, service.Line))],
                service);
        }
    }
}
