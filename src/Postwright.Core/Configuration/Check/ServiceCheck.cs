using System.Globalization;
using Postwright.Core.Posix;

namespace Postwright.Core.Configuration.Check;

/// <summary>
/// master.cf's rows: commands that exist, ports that can be found, transports that other settings name. A row for a helper that
/// Postwright has no process for (tlsmgr, anvil, scache, ...) is accepted; an unknown command stops start.
/// </summary>
internal static class ServiceCheck
{
    private static readonly string[] Working =
        ["smtpd", "pickup", "cleanup", "qmgr", "trivial-rewrite", "bounce", "flush", "showq", "smtp", "lmtp", "error", "discard", "local", "virtual"];

    private static readonly string[] Helpers =
        ["tlsmgr", "anvil", "scache", "proxymap", "verify", "postlogd", "dnsblog", "tlsproxy", "nbdb_reindexd"];

    private static readonly string[] Missing = ["postscreen", "pipe", "spawn", "qmqpd", "oqmgr"];

    private static readonly string[] TransportParameters =
        ["default_transport", "local_transport", "relay_transport", "virtual_transport", "error_service_name", "defer_transports"];

    public static void Run(MailConfiguration configuration, CheckReport report)
    {
        if (new DisabledServices(configuration.GetList("master_service_disable")).Explain() is { } trouble)
        {
            report.Error("master_service_disable", trouble);
        }

        foreach (MasterService service in configuration.Services)
        {
            CheckCommand(configuration, service, report);
            if (service.Type == "inet")
            {
                CheckPort(configuration, service, report);
            }
        }

        if (configuration.Services.Count > 0)
        {
            CheckTransports(configuration, report);
        }
    }

    private static void CheckCommand(MailConfiguration configuration, MasterService service, CheckReport report)
    {
        if (Working.Contains(service.Command) || Helpers.Contains(service.Command))
        {
            if (service.Type == "inet" && service.Command != "smtpd")
            {
                report.Warn(service.File, service.Line, $"service {service.Name}: {service.Command} takes no connections from the network here; this row does nothing");
            }

            return;
        }

        if (!Missing.Contains(service.Command))
        {
            report.Add(FindingSeverity.Error, service.File, service.Line,
                $"service {service.Name}: unknown command \"{service.Command}\"; it must be one of {string.Join(", ", Working.Concat(Helpers).Concat(Missing))}");
        }
        else if (service.Command == "postscreen")
        {
            report.Add(FindingSeverity.Error, service.File, service.Line,
                $"service {service.Name}: postscreen is not implemented yet, and mail would pass without its tests; use smtpd in its place");
        }
        else if (service is { Type: "unix", Command: "pipe" or "spawn" } && !IsNamed(configuration, service.Name))
        {
            // The rows that distributions ship for programs nobody has installed are no news.
        }
        else
        {
            report.Warn(service.File, service.Line, $"service {service.Name}: {service.Command} is not implemented yet; {(service.Type == "inet" ? "nothing listens there" : "what is sent to this service waits")}");
        }
    }

    private static bool IsNamed(MailConfiguration configuration, string service)
        => configuration.Settings.Any(setting => ConfigurationList.Split(setting.Value).Any(word =>
            word == service || word.StartsWith(service + ":", StringComparison.Ordinal) || word.EndsWith("/" + service, StringComparison.Ordinal)));

    private static void CheckPort(MailConfiguration configuration, MasterService service, CheckReport report)
    {
        int colon = service.Name.EndsWith(']') ? -1 : service.Name.LastIndexOf(':');
        string port = service.Name[(colon + 1)..];
        if (int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number is > 0 and < 65536 : IsNamedPort(configuration, port))
        {
            return;
        }

        report.Add(FindingSeverity.Error, service.File, service.Line,
            $"service {service.Name}: no port \"{port}\"; write a number from 1 to 65535, or a name from known_tcp_ports or /etc/services");
    }

    private static bool IsNamedPort(MailConfiguration configuration, string name)
    {
        if (configuration.GetList("known_tcp_ports").Any(entry => entry.Split('=').SkipLast(1).Contains(name)))
        {
            return true;
        }

        try
        {
            return SystemFiles.ReadLines("/etc/services")
                .Select(line => line.Split('#')[0].Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries))
                .Any(words => words.Length >= 2 && words[1].EndsWith("/tcp", StringComparison.Ordinal) && (words[0] == name || words.Skip(2).Contains(name)));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static void CheckTransports(MailConfiguration configuration, CheckReport report)
    {
        foreach (string parameter in TransportParameters.Where(configuration.IsSet))
        {
            foreach (string value in configuration.GetList(parameter))
            {
                string transport = value.Split(':')[0];
                if (transport.Length > 0 && !configuration.Services.Any(s => s.Name == transport && s.Type == "unix"))
                {
                    report.Warn(parameter, $"{parameter} = {value}: master.cf has no service {transport}; mail for it waits in the queue");
                }
            }
        }
    }
}
