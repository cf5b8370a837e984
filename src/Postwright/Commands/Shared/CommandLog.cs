using Postwright.Core.Configuration;
using Postwright.Core.Logging;

namespace Postwright.Commands.Shared;

/// <summary>The mail log of a command: what it says goes there too, tagged with its name and process.</summary>
internal static class CommandLog
{
    /// <summary>Opens the log and gives it to <paramref name="messages"/>. Null where it cannot be opened: a command works without.</summary>
    public static IDisposable? Open(MailConfiguration configuration, CommandMessages messages)
    {
        MailLogOptions options = new(
            configuration.GetString("maillog_file"),
            configuration.GetList("maillog_file_prefixes"),
            Convert.ToInt32(configuration.GetString("maillog_file_permissions"), 8),
            configuration.GetString("syslog_facility"),
            configuration.GetString("myhostname"));
        if (MailLogDestination.Open(options, TimeProvider.System, out _) is not { } destination)
        {
            return null;
        }

        messages.LogTo(new MailLog(destination, $"{configuration.GetString("syslog_name")}/{messages.Program}", Environment.ProcessId));
        return destination;
    }
}
