using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;

namespace Postwright.Commands.Shared;

/// <summary>Who may submit, list or flush: the lists authorized_submit_users, authorized_mailq_users and authorized_flush_users.</summary>
internal static class UserAccess
{
    /// <summary>Asks a list about the real user of this process.</summary>
    /// <returns>Null if the user may, else the name to refuse. A list that cannot be asked refuses.</returns>
    public static async Task<string?> RefusedUserAsync(MailConfiguration configuration, string parameter, uint uid)
    {
        string list = configuration.GetString(parameter);
        var host = new SystemHost(TimeProvider.System);
        string name = host.FindUser(uid, out UserEntry? user) == HostLookup.Found ? user!.Name : "unknown";
        if (list.Trim() == "static:anyone")
        {
            // The usual value, without the tables' machinery.
            return null;
        }

        using var tables = new TableRegistry(
            new MailLog(new Quiet(), "postfix/" + parameter, Environment.ProcessId),
            TimeProvider.System,
            host,
            lineLengthLimit: configuration.GetInt("line_length_limit"),
            smtpUtf8: configuration.GetBool("smtputf8_enable"));
        MatchResult answer = await StringList.Open(tables, parameter, list).MatchAsync(name);
        return answer == MatchResult.Match ? null : name;
    }

    private sealed class Quiet : ILogSink
    {
        public void Write(LogLevel level, string tag, int number, string text)
        {
            if (level != LogLevel.Info)
            {
                Console.Error.WriteLine(text);
            }
        }
    }
}
