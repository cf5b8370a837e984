using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Records;
using Postwright.Core.Seams;

namespace Postwright.Commands;

/// <summary>
/// postsuper(1): deletes, holds, releases, requeues and expires messages, by queue ID, from standard input (<c>-</c>) or all of them
/// (<c>ALL</c>), while the system runs (over the control socket) and while it is down (the spool is opened, as its owner). An
/// ID that is not in the queue is no error.
/// </summary>
internal static class Postsuper
{
    private const string Usage = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] "
        + "[-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] "
        + "[-S (redundant structure fix)][-v (verbose)] [queue...]";

    private static readonly string[] KnownQueues =
        ["maildrop", "incoming", "active", "deferred", "hold", "corrupt", "defer", "bounce", "trace", "flush", "saved"];

    /// <summary>The operations in the order in which they are done and reported, with the queues they look into by default.</summary>
    private static readonly (char Letter, string Total, string[] Queues)[] Operations =
    [
        ('d', "Deleted", ["maildrop", "incoming", "active", "deferred", "hold"]),
        ('r', "Requeued", ["incoming", "active", "deferred", "hold"]),
        ('h', "Placed on hold", ["incoming", "active", "deferred"]),
        ('H', "Released from hold", ["hold"]),
        ('e', "Force-expired", ["incoming", "active", "deferred", "hold"]),
        ('f', "Force-expired", ["incoming", "active", "deferred", "hold"]),
    ];

    /// <summary>Runs the command.</summary>
    public static int Run(string[] args) => RunAsync(args).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string[] args)
    {
        var messages = new CommandMessages("postsuper", Console.Error, fatalStatus: 1);
        var options = new GetOpt("postsuper", args, "c:d:e:f:h:H:pr:sSv", Console.Error);
        var names = new List<(char Letter, string Name)>();
        string? directory = null;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case 'c' when options.Argument.StartsWith('/'):
                    directory = options.Argument;
                    break;
                case 'c':
                    return messages.Fatal("-c requires absolute pathname");
                case 'p' or 's' or 'S' or 'v':
                    // The spool mends its structure and leaves no temporary files by itself.
                    break;
                case '?':
                    return messages.Fatal(Usage);
                default:
                    names.Add((option, options.Argument));
                    break;
            }
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        HostLookup known = new SystemHost(TimeProvider.System).FindUser(configuration.GetString("mail_owner"), out UserEntry? owner);
        if (ProcessIdentity.RealUser != 0 && (known != HostLookup.Found || ProcessIdentity.RealUser != owner!.Uid))
        {
            return messages.Fatal("use of this command is reserved for the superuser");
        }

        foreach (string queue in options.Operands)
        {
            if (!KnownQueues.Contains(queue))
            {
                return messages.Fatal($"invalid directory name: {queue}");
            }
        }

        using IDisposable? log = CommandLog.Open(configuration, messages);
        return names.Count == 0 ? 0 : await ChangeAsync(configuration, owner, names, [.. options.Operands], messages);
    }

    private static async Task<int> ChangeAsync(
        MailConfiguration configuration, UserEntry? owner, List<(char Letter, string Name)> names, string[] queues, CommandMessages messages)
    {
        await using IQueueChanger? changer = await QueueChanger.OpenAsync(configuration, owner, messages);
        if (changer is null)
        {
            return 1;
        }

        var totals = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((char letter, string total, string[] defaultQueues) in Operations)
        {
            string[] named = [.. names.Where(one => one.Letter == letter).Select(static one => one.Name)];
            if (named.Length == 0)
            {
                continue;
            }

            string[] among = queues.Length > 0 ? [.. queues.Where(queue => letter == 'd' || defaultQueues.Contains(queue))] : defaultQueues;
            IEnumerable<string> ids = named.Contains("ALL") ? ["ALL"] : Valid(named.SelectMany(static name => name == "-" ? Input() : [name]), messages);
            int? changed = await changer.ChangeAsync(letter, among, ids, messages.Info);
            if (changed is null)
            {
                return messages.Fatal("the mail system went away");
            }

            totals[total] = totals.GetValueOrDefault(total) + changed.Value;
        }

        foreach (string total in (string[])["Requeued", "Deleted", "Placed on hold", "Released from hold", "Force-expired"])
        {
            if (totals.TryGetValue(total, out int count))
            {
                messages.Info($"{total}: {count} message{(count == 1 ? "" : "s")}");
            }
        }

        return 0;
    }

    private static IEnumerable<string> Input()
    {
        while (Console.In.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    private static IEnumerable<string> Valid(IEnumerable<string> ids, CommandMessages messages)
    {
        foreach (string id in ids)
        {
            if (QueueFileName.IsValid(id))
            {
                yield return id;
            }
            else
            {
                messages.Warning($"invalid mail queue id: {id}");
            }
        }
    }
}
