using Postwright.Core.Configuration;
using Postwright.Core.Logging;

namespace Postwright.Commands.Shared;

/// <summary>The mail log of a command: what it says goes there too, tagged with its name and process.</summary>
internal static class CommandLog
{
    /// <summary>Opens the log and gives it to <paramref name="messages"/>. Null where it cannot be opened: a command works without.</summary>
    public static IDisposable? Open(MailConfiguration configuration, CommandMessages messages)
    {
        if (Destination(configuration) is not { } destination)
        {
            return null;
        }

        messages.LogTo(new MailLog(destination, $"{configuration.GetString("syslog_name")}/{messages.Program}", Environment.ProcessId));
        return destination;
    }

    /// <summary>maillog_file or syslog; null where it cannot be opened.</summary>
    public static MailLogDestination? Destination(MailConfiguration configuration) => MailLogDestination.Open(
        new MailLogOptions(
            configuration.GetString("maillog_file"),
            configuration.GetList("maillog_file_prefixes"),
            Convert.ToInt32(configuration.GetString("maillog_file_permissions"), 8),
            configuration.GetString("syslog_facility"),
            configuration.GetString("myhostname")),
        TimeProvider.System, out _);
}
