using System.Text;
using Postwright.Core.Configuration.Bounce;
using Postwright.Core.Seams;
using Postwright.Core.Tables;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// postconf(1): shows and edits main.cf and master.cf. Output, warnings and exit codes are Postfix's: 0 even for an unknown
/// name, 1 after a fatal error. Warnings go to the error stream with the program's name as it was called. A configuration with
/// a fatal error is not shown, as in Postfix, but every error is listed, not the first alone.
/// </summary>
/// <param name="program">argv[0], which Postfix puts before its warnings.</param>
/// <param name="output">Where settings go.</param>
/// <param name="errors">Where warnings go.</param>
/// <param name="disk">For edits in place.</param>
/// <param name="host">The machine's names and addresses; null for the real ones.</param>
public sealed class PostconfProgram(string program, TextWriter output, TextWriter errors, IDisk disk, HostFacts? host = null)
{
    private const string DefaultDirectory = "/etc/postfix";

    // Asking for the interfaces takes longer than all the rest of postconf -n, which needs none.
    private readonly Lazy<HostFacts> _host = new(() => (host ?? HostFacts.OfThisMachine()) with { ProcessName = "postconf" });
    private bool _quiet;

    /// <summary>Runs one command line; the exit code.</summary>
    /// <param name="arguments">Options and names, without argv[0].</param>
    /// <param name="environmentDirectory">MAIL_CONFIG, or null.</param>
    public int Run(string[] arguments, string? environmentDirectory)
    {
        var options = new PostconfOptions();
        if (options.Read(arguments, program, errors) is { } usage)
        {
            return Fatal(usage);
        }

        _quiet = options.Has('q');
        string directory = options.ConfigDirectory ?? environmentDirectory ?? DefaultDirectory;
        if (options.Has('b') || options.Has('t'))
        {
            return ShowTemplates(options, directory);
        }

        if (options.TlsQuestion is not null)
        {
            return ShowTls(options.TlsQuestion);
        }

        if (ShowFacility(options))
        {
            return 0;
        }

        if (options.Has('e') || options.Has('#') || options.Has('X'))
        {
            string? trouble = new PostconfEditor(directory, disk, Warn).Run(options);
            return trouble is null ? 0 : Fatal(trouble);
        }

        return Show(options, directory);
    }

    private bool ShowFacility(PostconfOptions options)
    {
        IEnumerable<string>? lines =
            options.Has('m') ? TableRegistry.SupportedTypes
            : options.Has('l') ? ["flock", "fcntl", "dotlock"]
            // No SASL yet: Postfix without SASL prints nothing here either.
            : options.Has('a') || options.Has('A') ? []
            : null;
        foreach (string line in lines ?? [])
        {
            output.Write(line + "\n");
        }

        return lines is not null;
    }

    private int ShowTls(string mode)
    {
        IReadOnlyList<string>? lines = TlsLibrary.Answer(mode, out string? trouble);
        if (lines is null)
        {
            Warn(trouble!);
            return 1;
        }

        foreach (string line in lines)
        {
            output.Write(line + "\n");
        }

        return 0;
    }

    /// <summary>Postfix has bounce(8) do this, and its messages say so.</summary>
    private int ShowTemplates(PostconfOptions options, string directory)
    {
        if (options.Names.Count > 1)
        {
            return Fatal("options -b and -t require at most one template file");
        }

        if (ConfigurationFile.WhyUnreadable(ConfigurationFile.In(directory, "main.cf")) is { } unreadable)
        {
            return Fatal(unreadable);
        }

        MailConfiguration configuration = MailConfiguration.Load(directory, _host);
        if (ReportErrors(configuration, needsMaster: null) > 0)
        {
            return 1;
        }

        string speaker = $"{configuration.GetString("syslog_name")}/bounce";
        string path = options.Names.Count > 0 ? options.Names[0] : configuration.GetString("bounce_template_file");
        string? trouble = BounceDump.Make(configuration, path, options.Has('b'), text => Write($"{speaker}: warning: {text}"), out string shown);
        output.Write(ConfigurationFile.Decode(Encoding.Latin1.GetBytes(shown)));
        if (trouble is null)
        {
            output.Flush();
            return 0;
        }

        Write($"{speaker}: fatal: {trouble}");
        return 1;
    }

    private int Show(PostconfOptions options, string directory)
    {
        // Defaults need no file at all; what shows master.cf reads it first.
        bool defaults = options.Has('d');
        string[] needed = defaults ? [] : options.IsMaster ? ["master.cf", "main.cf"] : ["main.cf"];
        foreach (string file in needed)
        {
            if (ConfigurationFile.WhyUnreadable(ConfigurationFile.In(directory, file)) is { } unreadable)
            {
                return Fatal(unreadable);
            }
        }

        MailConfiguration configuration = defaults
            ? MailConfiguration.LoadDefaults(directory, _host)
            : MailConfiguration.Load(directory, _host);
        if (ReportErrors(configuration, options.IsMaster) > 0)
        {
            return 1;
        }

        if (ReadOverrides(options, out List<KeyValuePair<string, string>> overrides) is { } wrong)
        {
            return Fatal(wrong);
        }

        if (overrides.Count > 0)
        {
            configuration = configuration.WithOverrides(overrides);
        }

        if (options.Verbosity > 1)
        {
            PostconfTrace.Write(configuration, defaults, line => Write($"{program}: {line}"));
        }

        ParameterUsage usage = ParameterUsage.Of(configuration);
        if (!defaults && usage.Failures.Count > 0)
        {
            foreach (string failure in usage.Failures)
            {
                Warn(failure);
            }

            return Fatal("macro processing error");
        }

        foreach ((string file, string name) in defaults ? [] : usage.Undefined)
        {
            Warn($"{file}: undefined parameter: {name}");
        }

        string? trouble = null;
        if (options.IsMaster)
        {
            trouble = new PostconfServices(configuration, output, Warn).Show(options);
        }
        else
        {
            new PostconfParameters(configuration, usage, output, Warn).Show(options);
        }

        output.Flush();
        if (trouble is not null)
        {
            return Fatal(trouble);
        }

        if (!defaults)
        {
            ReportUnused(configuration, usage, options.IsMaster);
        }

        return 0;
    }

    private static string? ReadOverrides(PostconfOptions options, out List<KeyValuePair<string, string>> overrides)
    {
        overrides = [];
        foreach (string text in options.Overrides)
        {
            if (MainCf.SplitNameValue(text, out string name, out string value) is { } trouble)
            {
                return $"invalid parameter override: {text}: {trouble[..trouble.LastIndexOf(':')]}";
            }

            overrides.Add(new KeyValuePair<string, string>(name, value));
        }

        return null;
    }

    /// <summary>Tells what is wrong in the files; the number of fatal errors.</summary>
    /// <param name="configuration">The files.</param>
    /// <param name="needsMaster">True if nothing can be shown without master.cf; null if it does not matter at all.</param>
    private int ReportErrors(MailConfiguration configuration, bool? needsMaster)
    {
        int fatal = 0;
        foreach (ConfigurationError error in configuration.Errors)
        {
            if (error.File.EndsWith("master.cf", StringComparison.Ordinal))
            {
                fatal += needsMaster is { } needs ? ReportMasterError(error, needs) : 0;
            }
            else if (error.IsFatal)
            {
                fatal += Fatal(error.Line > 0 ? error.ToString() : error.Text);
            }
            else
            {
                Warn(error.Text.StartsWith("logical", StringComparison.Ordinal) ? $"{error.File}: {error.Text}" : error.ToString());
            }
        }

        foreach (Setting setting in configuration.Settings)
        {
            if (setting.Name == "config_directory")
            {
                Warn($"{setting.File}, line {setting.Line}: overriding earlier entry: config_directory={configuration.ConfigDirectory}");
            }
            else if (MailConfiguration.IsReadOnly(setting.Name))
            {
                Warn($"{setting.File}: read-only parameter assignment: {setting.Name}={setting.Value}");
            }
        }

        return fatal;
    }

    /// <summary>A missing file is no reason to show no parameter, nor is a row whose arguments alone are wrong.</summary>
    private int ReportMasterError(ConfigurationError error, bool needsMaster)
    {
        bool isMissing = error.Line == 0 && error.PostconfFatal is null && error.PostconfWarning is null;
        if (error.PostconfFatal is { } text || (isMissing && needsMaster && (text = error.Text) is not null))
        {
            return Fatal(text);
        }

        if (error.PostconfWarning is not null)
        {
            Warn($"master.cf: {error.PostconfWarning}");
        }
        else if (isMissing)
        {
            Warn(error.Text);
        }
        else if (error.Text.StartsWith("logical", StringComparison.Ordinal))
        {
            Warn($"{error.File}: {error.Text}");
        }

        return 0;
    }

    private void ReportUnused(MailConfiguration configuration, ParameterUsage usage, bool masterOnly)
    {
        foreach (string warning in usage.ClientWarnings)
        {
            Warn(warning);
        }

        if (!masterOnly)
        {
            foreach (Setting setting in usage.UnusedMain)
            {
                Warn($"{configuration.ConfigDirectory}/main.cf: unused parameter: {setting.Name}={setting.Value}");
            }

            ReportDeprecated(configuration);
        }

        foreach ((_, KeyValuePair<string, string> setting) in usage.UnusedMaster)
        {
            Warn($"{configuration.ConfigDirectory}/master.cf: unused parameter: {setting.Key}={setting.Value}");
        }
    }

    private void ReportDeprecated(MailConfiguration configuration)
    {
        bool any = false;
        foreach (Setting setting in configuration.Settings.OrderBy(s => s.Name, StringComparer.Ordinal))
        {
            if (DeprecatedParameters.Advice(setting.Name) is { } advice)
            {
                any = true;
                Warn($"{configuration.ConfigDirectory}/main.cf: support for parameter \"{setting.Name}\" will be removed; instead, {advice}");
            }
        }

        if (any)
        {
            Warn("See https://www.postfix.org/DEPRECATION_README.html for details");
        }
    }

    private void Warn(string text)
    {
        if (!_quiet)
        {
            Write($"{program}: warning: {text}");
        }
    }

    private int Fatal(string text)
    {
        Write($"{program}: fatal: {text}");
        return 1;
    }

    private void Write(string line)
    {
        output.Flush();
        // A mark for each byte that is no printable ASCII.
        errors.Write(string.Concat(Encoding.UTF8.GetBytes(line).Select(b => b is < (byte)' ' or >= 0x7f ? '?' : (char)b)) + "\n");
    }
}
