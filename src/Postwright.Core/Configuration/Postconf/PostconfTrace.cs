using System.Globalization;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// What <c>postconf -v -v</c> tells on the error stream before it shows anything: the files that were read, and which line, or
/// which <c>-o</c>, gives each name the value that counts. As in Postfix, a single <c>-v</c> tells nothing of them.
/// </summary>
internal static class PostconfTrace
{
    /// <summary>Tells of a configuration.</summary>
    /// <param name="configuration">As it was read.</param>
    /// <param name="defaults">True where main.cf was left out.</param>
    /// <param name="say">Takes a line.</param>
    public static void Write(MailConfiguration configuration, bool defaults, Action<string> say)
    {
        string main = ConfigurationFile.In(configuration.ConfigDirectory, "main.cf");
        say(defaults ? $"{main}: left out" : $"{main}: read");
        foreach (Setting setting in configuration.Settings.OrderBy(static setting => setting.Line == 0).ThenBy(static setting => setting.Line))
        {
            say($"{Where(setting.File, setting.Line)}: {setting.Name} = {setting.Value}".TrimEnd());
        }

        say($"{Path.Combine(configuration.ConfigDirectory, "master.cf")}: read");
        foreach (MasterService row in configuration.Rows)
        {
            say($"{Where(row.File, row.Line)}: service {row.Name} {row.Type}");
            foreach ((string name, string value) in row.Overrides)
            {
                say($"{Where(row.File, row.Line)}: service {row.Name} {row.Type}: {name} = {value}");
            }
        }
    }

    private static string Where(string file, int line) => line == 0 ? file : string.Create(CultureInfo.InvariantCulture, $"{file}, line {line}");
}
