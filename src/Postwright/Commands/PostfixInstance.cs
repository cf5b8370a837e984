using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// The instance that a postfix command works on: its configuration, its owners, its log, and whether its master runs. Messages
/// go to standard error and to the mail log.
/// </summary>
internal sealed class PostfixInstance : IDisposable
{
    private PostfixInstance(MailConfiguration configuration, InstanceOwners owners, MailLogDestination? destination)
    {
        Configuration = configuration;
        Owners = owners;
        Destination = destination;
        StandardErrorSink shown = new();
        ILogSink sink = destination is null ? shown : new BothSinks(shown, destination);
        Log = new MailLog(sink, $"{configuration.GetString("syslog_name")}/postfix-script", Environment.ProcessId);
    }

    /// <summary>main.cf and master.cf.</summary>
    public MailConfiguration Configuration { get; }

    /// <summary>Who owns what.</summary>
    public InstanceOwners Owners { get; }

    /// <summary>The mail log, or null where it cannot be opened.</summary>
    public MailLogDestination? Destination { get; }

    /// <summary>Shown and logged.</summary>
    public MailLog Log { get; }

    /// <summary>Everything runs in one process, as the caller.</summary>
    public bool IsSingle => Owners.MailOwner == Owners.Root;

    /// <summary>queue_directory.</summary>
    public string QueueDirectory => Configuration.GetString("queue_directory");

    /// <summary>data_directory.</summary>
    public string DataDirectory => Configuration.GetString("data_directory");

    /// <summary>pid/master.pid.</summary>
    public string PidPath => Path.Combine(QueueDirectory, Configuration.GetString("process_id_directory"), "master.pid");

    /// <summary>True if a master holds the lock.</summary>
    public bool IsRunning => PidFile.IsHeld(PidPath);

    /// <summary>Looks the owners up and opens the log; null, and why, if the caller may not do this.</summary>
    public static PostfixInstance? Open(MailConfiguration configuration, out string? error)
    {
        if (OwnersOf(configuration, out error) is not { } owners)
        {
            return null;
        }

        MailLogDestination? destination = MailLogDestination.Open(Daemon.LogOptions(configuration), TimeProvider.System, out string? logError);
        PostfixInstance instance = new(configuration, owners, destination);
        if (destination is null)
        {
            instance.Log.Warning(logError!);
        }

        return instance;
    }

    /// <summary>
    /// Reminds of defaults that are those of an older release, in Postfix's words: in the log, and on a terminal. Not of level 3.11,
    /// which turns on encryption that is not there yet.
    /// </summary>
    public void RemindOfLevel()
    {
        const string Newest = "3.6";
        if (!CompatibilityLevel.TryParse(Configuration.GetString("compatibility_level"), out long level)
            || !CompatibilityLevel.TryParse(Newest, out long newest) || level >= newest)
        {
            return;
        }

        foreach (string line in (ReadOnlySpan<string>)
            [
                "Postfix is using backwards-compatible default settings",
                "See http://www.postfix.org/COMPATIBILITY_README.html for details",
                $"To disable backwards compatibility use \"postconf compatibility_level={Newest}\" and \"postfix reload\"",
            ])
        {
            Destination?.Write(LogLevel.Info, "postfix", Environment.ProcessId, line);
            if (!Console.IsErrorRedirected)
            {
                Console.Error.WriteLine($"postfix: {line}");
            }
        }
    }

    /// <summary>Shows and logs a fatal message.</summary>
    /// <returns>1, the exit status.</returns>
    public int Fatal(string text)
    {
        Log.Fatal(text);
        return 1;
    }

    /// <inheritdoc />
    public void Dispose() => Destination?.Dispose();

    private static InstanceOwners? OwnersOf(MailConfiguration configuration, out string? error)
    {
        SystemHost host = new SystemHost(TimeProvider.System);
        uint caller = Identity.EffectiveUser;
        string mailOwner = configuration.GetString("mail_owner");
        string group = configuration.GetString("setgid_group");
        HostLookup found = host.FindUser(mailOwner, out UserEntry? owner);
        error = null;
        if (found != HostLookup.Found)
        {
            error = caller != 0 && configuration.ConfigDirectory == "/etc/postfix"
                ? "the postfix command is reserved for the superuser"
                : $"file {configuration.ConfigDirectory}/main.cf: parameter mail_owner: user {mailOwner} {(found == HostLookup.NotFound ? "does not exist" : "cannot be looked up")}";
            return null;
        }

        if (owner!.Uid == caller)
        {
            return new InstanceOwners(caller, caller, mailOwner, owner.Gid, null, group);
        }

        if (caller != 0)
        {
            error = "the postfix command is reserved for the superuser";
            return null;
        }

        if (host.FindGroup(group, out uint gid) != HostLookup.Found)
        {
            error = $"file {configuration.ConfigDirectory}/main.cf: parameter setgid_group: unknown group name: {group}";
            return null;
        }

        return new InstanceOwners(0, owner.Uid, mailOwner, owner.Gid, gid, group);
    }
}
