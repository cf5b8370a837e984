using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Control;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Protocol.Smtp;

namespace Postwright.Commands;

/// <summary>
/// postqueue(1): lists the queue and has it tried now, for any user that main.cf lets. It may run set-gid: that group is what lets it
/// reach the control socket, so nothing that the caller says is trusted, and only root's is ever made to run another program
/// (showq, which reads the queue itself while the system is down). Every fatal error exits with 69.
/// </summary>
internal static class Postqueue
{
    private const int Unavailable = 69;
    private const string Usage = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";
    private const string CutOff = "malformed showq server response";
    private const string Down = "Cannot flush mail queue - mail system is down";

    /// <summary>A caller's text in a message is cut here.</summary>
    private const int LongestName = 100;

    /// <summary>Runs the command.</summary>
    public static int Run(string[] args) => RunAsync(args).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string[] args)
    {
        var messages = new CommandMessages("postqueue", Console.Error, Unavailable);
        var options = new GetOpt("postqueue", args, "c:fi:jps:v", Console.Error);
        string? directory = null;
        char mode = '\0';
        string subject = "";
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case 'c':
                    directory = options.Argument;
                    break;
                case 'v':
                    break;
                case 'f' or 'i' or 'j' or 'p' or 's' when mode == '\0':
                    (mode, subject) = (option, options.Argument);
                    break;
                default:
                    return messages.Fatal(Usage);
            }
        }

        if (mode == '\0' || options.Operands.Count > 0)
        {
            return messages.Fatal(Usage);
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        using IDisposable? log = CommandLog.Open(configuration, messages);
        if (InvalidSubject(mode, subject) is { } invalid)
        {
            return messages.Fatal(invalid);
        }

        bool lists = mode is 'j' or 'p';
        if (await RefusedAsync(configuration, lists ? "authorized_mailq_users" : "authorized_flush_users") is { } refused)
        {
            return messages.Fatal($"User {refused}({ProcessIdentity.RealUser}) is not allowed to {(lists ? "view" : "flush")} the mail queue");
        }

        return lists ? List(configuration, mode == 'j', messages) : await FlushAsync(configuration, mode, subject, messages);
    }

    private static string? InvalidSubject(char mode, string subject)
    {
        string shown = subject.Length > LongestName ? subject[..LongestName] + "..." : subject;
        return mode switch
        {
            'i' when !QueueFileName.IsValid(subject) => $"Cannot flush queue ID - invalid name: \"{shown}\"",
            's' when !IsDestination(subject) => $"Cannot flush mail queue - invalid destination: \"{shown}\"",
            _ => null,
        };
    }

    private static bool IsDestination(string site) =>
        site is ['[', .., ']'] ? System.Net.IPAddress.TryParse(site[1..^1].Replace("IPv6:", "", StringComparison.OrdinalIgnoreCase), out _) : HostNames.IsValid(site);

    /// <summary>root and the mail system's own user are always let.</summary>
    private static async Task<string?> RefusedAsync(MailConfiguration configuration, string parameter)
    {
        uint uid = ProcessIdentity.RealUser;
        return uid == 0 || uid == OwnerOf(configuration) ? null : await UserAccess.RefusedUserAsync(configuration, parameter, uid);
    }

    private static uint? OwnerOf(MailConfiguration configuration) =>
        new SystemHost(TimeProvider.System).FindUser(configuration.GetString("mail_owner"), out UserEntry? owner) == HostLookup.Found ? owner!.Uid : null;

    private static int List(MailConfiguration configuration, bool json, CommandMessages messages)
    {
        string queue = configuration.GetString("queue_directory");
        switch (ControlClient.TryConnect(queue, out ControlClient? client, out string reason))
        {
            case ControlConnectStatus.Connected:
                using (client)
                {
                    return Ask(client!) ? Print(client!.Reader, configuration, json, messages) : messages.Fatal(CutOff);
                }

            case ControlConnectStatus.NotPermitted:
                return messages.Fatal($"Connect to the Postfix showq service: {reason}");
            default:
                if (ProcessIdentity.EffectiveUser != 0 && (ProcessIdentity.LendsPrivileges || ProcessIdentity.EffectiveUser != OwnerOf(configuration)))
                {
                    return messages.Fatal($"Queue report unavailable - mail system is down ({Connecting(reason)})");
                }

                messages.Warning($"Mail system is down -- accessing queue directly ({Connecting(reason)})");
                return ListDirectly(configuration, json, messages);
        }
    }

    private static bool Ask(ControlClient client)
    {
        try
        {
            client.Send(ControlProtocol.List);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static string Connecting(string reason) => $"Connect to the Postfix showq service: {reason}";

    private static int ListDirectly(MailConfiguration configuration, bool json, CommandMessages messages)
    {
        System.Diagnostics.ProcessStartInfo start = SiblingProgram.FindMultiCall(configuration, "showq");
        SiblingProgram.AddConfiguration(start, configuration);
        start.RedirectStandardOutput = true;
        try
        {
            using System.Diagnostics.Process showq = System.Diagnostics.Process.Start(start)!;
            int status = Print(new RecordReader(showq.StandardOutput.BaseStream, ControlProtocol.RecordLimit), configuration, json, messages);
            showq.StandardOutput.Close();
            showq.WaitForExit();
            return status;
        }
        catch (System.ComponentModel.Win32Exception failure)
        {
            return messages.Fatal($"execvp {start.FileName}: {PosixFile.Describe(failure.NativeErrorCode)}");
        }
    }

    private static int Print(RecordReader reader, MailConfiguration configuration, bool json, CommandMessages messages)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput()) { NewLine = "\n" };
        var listing = new QueueListingText(output, configuration.GetBool("enable_long_queue_ids"), TimeZoneInfo.Local);
        try
        {
            using IEnumerator<ListedMessage?> list = ListingRecords.Read(reader).GetEnumerator();
            while (Next(list, out ListedMessage? message))
            {
                if (message is null)
                {
                    output.Flush();
                    return messages.Fatal(CutOff);
                }

                if (json)
                {
                    listing.WriteJson(message);
                }
                else
                {
                    listing.Write(message);
                }
            }

            if (!json)
            {
                listing.WriteEnd();
            }

            output.Flush();
            return 0;
        }
        catch (IOException)
        {
            // A reader that has seen enough: postqueue -p | head.
            return 0;
        }
    }

    /// <summary>The next message. A read that fails is a list that ends early, never a list that is at its end.</summary>
    private static bool Next(IEnumerator<ListedMessage?> list, out ListedMessage? message)
    {
        try
        {
            bool more = list.MoveNext();
            message = more ? list.Current : null;
            return more;
        }
        catch (IOException)
        {
            message = null;
            return true;
        }
    }

    private static async Task<int> FlushAsync(MailConfiguration configuration, char mode, string subject, CommandMessages messages)
    {
        if (mode == 's' && !await IsFlushableAsync(configuration, subject))
        {
            return messages.Fatal($"Flush service is not configured for destination \"{subject}\"");
        }

        if (ControlClient.TryConnect(configuration.GetString("queue_directory"), out ControlClient? client, out _) != ControlConnectStatus.Connected)
        {
            return messages.Fatal(Down);
        }

        using (client)
        {
            try
            {
                IReadOnlyList<string> answer = mode switch
                {
                    'i' => client!.Ask(ControlProtocol.FlushMessage, subject),
                    's' => client!.Ask(ControlProtocol.FlushSite, subject),
                    _ => client!.Ask(ControlProtocol.Flush),
                };
                return answer is [ControlProtocol.Done, ..] ? 0 : messages.Fatal($"Cannot flush mail queue - {(answer.Count > 0 ? answer[0] : "malformed answer")}");
            }
            catch (IOException)
            {
                return messages.Fatal(Down);
            }
        }
    }

    /// <summary>fast_flush_domains says for which destinations mail may be asked for.</summary>
    private static async Task<bool> IsFlushableAsync(MailConfiguration configuration, string site)
    {
        using var tables = new TableRegistry(
            new MailLog(new StandardErrorSink(), "postfix/postqueue", Environment.ProcessId),
            TimeProvider.System,
            lineLengthLimit: configuration.GetInt("line_length_limit"),
            smtpUtf8: configuration.GetBool("smtputf8_enable"));
        bool parents = configuration.GetList("parent_domain_matches_subdomains").Contains("fast_flush_domains");
        var domains = DomainList.Open(tables, "fast_flush_domains", configuration.GetString("fast_flush_domains"), parents);
        return await domains.MatchAsync(site) == MatchResult.Match;
    }
}
