using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.Server.Tests.Deliver.Local;

/// <summary>
/// The machine's Postfix, with directories of its own and an SMTP port of its own, delivering into a temporary directory: what
/// local and virtual do is read from its log and its files. The system's instance, mailboxes and homes are not touched.
/// </summary>
internal sealed partial class PostfixDelivery : IAsyncDisposable
{
    private const string Program = "/usr/sbin/postfix";
    private readonly string _root;
    private readonly int _port;

    private PostfixDelivery(string root, int port)
    {
        _root = root;
        _port = port;
    }

    public static string? Obstacle => !File.Exists("/usr/lib/postfix/sbin/local") ? "Postfix is not installed"
        : !DeliveryRig.IsRoot ? "a private Postfix must be started by root" : null;

    /// <summary>Of a delivery in the log.</summary>
    public readonly record struct Outcome(string Dsn, string Status, string Reason);

    private string Log => File.Exists(_root + "/maillog") ? File.ReadAllText(_root + "/maillog") : "";

    /// <param name="root">A directory that everybody may enter.</param>
    /// <param name="mainCf">Settings beside the directories.</param>
    public static async Task<PostfixDelivery> StartAsync(string root, string mainCf, string aliases)
    {
        var instance = new PostfixDelivery(root, FreePort.Next());
        foreach (string folder in new[] { "etc", "queue", "data" })
        {
            Directory.CreateDirectory(Path.Combine(root, folder));
        }

        await CommandRun.RunAsync("/bin/chown", ["postfix", root + "/data"]);
        foreach (string file in new[] { "postfix-files", "dynamicmaps.cf" }.Where(name => File.Exists("/etc/postfix/" + name)))
        {
            File.Copy("/etc/postfix/" + file, $"{root}/etc/{file}");
        }

        await File.WriteAllTextAsync(root + "/etc/main.cf", $"""
            compatibility_level = 3.6
            queue_directory = {root}/queue
            data_directory = {root}/data
            command_directory = /usr/sbin
            daemon_directory = /usr/lib/postfix/sbin
            maillog_file = {root}/maillog
            maillog_file_prefixes = {root}
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            mynetworks = 127.0.0.0/8
            alias_maps = hash:{root}/aliases
            alias_database = hash:{root}/aliases
            local_recipient_maps =
            biff = no
            {mainCf}
            """);
        await File.WriteAllTextAsync(root + "/etc/master.cf", $"127.0.0.1:{instance._port} inet n - n - - smtpd\n{PostfixRows.Inside}");
        await File.WriteAllTextAsync(root + "/aliases", aliases);
        CommandRun built = await CommandRun.RunAsync("/usr/sbin/postalias", ["-c", root + "/etc", $"hash:{root}/aliases"]);
        Assert.True(built.ExitStatus == 0, built.Error);
        CommandRun started = await CommandRun.RunAsync(Program, ["-c", root + "/etc", "start"]);
        Assert.True(started.ExitStatus == 0, started.Output + started.Error + instance.Log);
        return instance;
    }

    /// <summary>Sends one message to all recipients and waits until each has an outcome.</summary>
    public async Task<IReadOnlyDictionary<string, Outcome>> SendAsync(string sender, IReadOnlyList<string> recipients, string content, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _port, cancellationToken);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        await Reply(reader, cancellationToken);
        string[] commands = ["HELO helo.test", $"MAIL FROM:<{sender}>", .. recipients.Select(one => $"RCPT TO:<{one}>"), "DATA", content + ".", "QUIT"];
        foreach (string command in commands)
        {
            await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(command + "\r\n"), cancellationToken);
            string reply = await Reply(reader, cancellationToken);
            Assert.True(reply[0] is '2' or '3', $"{command}: {reply}");
        }

        for (DateTime end = TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(2); ;)
        {
            Dictionary<string, Outcome> outcomes = Outcomes();
            if (recipients.All(outcomes.ContainsKey))
            {
                return outcomes;
            }

            Assert.True(TimeProvider.System.GetUtcNow().UtcDateTime < end, "no outcome for " + string.Join(' ', recipients.Except(outcomes.Keys)) + "\n" + Log);
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellationToken);
        }
    }

    public async ValueTask DisposeAsync() => await CommandRun.RunAsync(Program, ["-c", _root + "/etc", "abort"]);

    private static async Task<string> Reply(StreamReader reader, CancellationToken cancellationToken)
    {
        string? line;
        do
        {
            line = await reader.ReadLineAsync(cancellationToken);
        }
        while (line is [_, _, _, '-', ..]);
        return line ?? throw new IOException("Postfix hung up");
    }

    private Dictionary<string, Outcome> Outcomes()
    {
        var outcomes = new Dictionary<string, Outcome>();
        foreach (Match match in Line().Matches(Log))
        {
            outcomes.TryAdd(match.Groups[1].Value, new Outcome(match.Groups[2].Value, match.Groups[3].Value, match.Groups[4].Value));
        }

        return outcomes;
    }

    [GeneratedRegex(@"/(?:local|virtual)\[\d+\]: \w+: to=<([^>]*)>, .*?dsn=([0-9.]+), status=(\w+) \((.*)\)\n")]
    private static partial Regex Line();
}
