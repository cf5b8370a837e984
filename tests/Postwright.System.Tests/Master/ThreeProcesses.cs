using System.Diagnostics;
using System.Globalization;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>
/// What root gets: master, mail and agent, on a private configuration below a temporary directory, listening on a free port of
/// 127.0.0.1. Mailboxes of example.test are nobody's. Disposing stops all three and removes everything.
/// </summary>
internal sealed class ThreeProcesses : IAsyncDisposable
{
    /// <summary>The mailboxes' owner.</summary>
    public const uint Nobody = 65534;

    private readonly int _port = FreePort.Next();

    /// <summary>Makes the configuration; skips the test without root.</summary>
    /// <param name="settings">More lines of main.cf, instead of the usual ones of the same names; ROOT stands for <see cref="Root"/>.</param>
    public ThreeProcesses(string settings = "")
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "three processes need root");
        Assert.SkipUnless(HasUser("postfix:") && HasGroup("postdrop:"), "the user postfix and the group postdrop do not exist");
        Root = Directory.CreateTempSubdirectory("postwright-three-").FullName;
        foreach (string folder in (string[])["etc", "queue", "mail"])
        {
            Directory.CreateDirectory(Path.Combine(Root, folder));
        }

        // The mail process runs as another user and must get here.
        File.SetUnixFileMode(Root, (UnixFileMode)0b111_101_101);
        Process.Start("chown", ["65534:65534", Path.Combine(Root, "mail")]).WaitForExit();
        WriteMainCf(settings);
        WriteMasterCf("");
    }

    /// <summary>The temporary directory.</summary>
    public string Root { get; }

    /// <summary>For <c>-c</c>.</summary>
    public string ConfigDirectory => Path.Combine(Root, "etc");

    /// <summary>maillog_file's text so far.</summary>
    public string Log => File.Exists(Path.Combine(Root, "maillog")) ? ReadShared(Path.Combine(Root, "maillog")) : "";

    /// <summary>Writes main.cf anew.</summary>
    public void WriteMainCf(string settings)
    {
        string[] own = settings.Replace("ROOT", Root, StringComparison.Ordinal).Split('\n');
        string[] defaults = $$"""
            compatibility_level = 3.6
            myhostname = mail.example.test
            mydestination =
            mynetworks = 127.0.0.0/8
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            queue_directory = {{Root}}/queue
            data_directory = {{Root}}/data
            maillog_file = {{Root}}/maillog
            maillog_file_prefixes = {{Root}}
            alias_maps =
            alias_database =
            smtpd_peername_lookup = no
            virtual_mailbox_domains = example.test
            virtual_mailbox_base = {{Root}}/mail
            virtual_mailbox_maps = inline:{you@example.test=you/}
            virtual_uid_maps = static:{{Nobody}}
            virtual_gid_maps = static:{{Nobody}}
            """.Split('\n');
        File.WriteAllLines(
            Path.Combine(ConfigDirectory, "main.cf"),
            defaults.Where(line => !own.Any(other => NameIn(other) == NameIn(line))).Concat(own));
    }

    /// <summary>Writes master.cf anew, with one more row.</summary>
    public void WriteMasterCf(string row) => File.WriteAllText(Path.Combine(ConfigDirectory, "master.cf"), $"""
        127.0.0.1:{_port} inet n - n - - smtpd
        pickup unix n - n 60 1 pickup
        cleanup unix n - n - 0 cleanup
        qmgr unix n - n 300 1 qmgr
        error unix - - n - - error
        retry unix - - n - - error
        smtp unix - - n - - smtp
        relay unix - - n - - smtp
        local unix - n n - - local
        virtual unix - n n - - virtual
        {row}

        """);

    /// <summary>postfix start.</summary>
    public async Task StartAsync()
    {
        CommandRun start = await PostfixAsync("start");
        Assert.True(start.ExitStatus == 0, start.Error + Log);
    }

    /// <summary>postfix COMMAND.</summary>
    public Task<CommandRun> PostfixAsync(string command) => CommandRun.RunAsync(TestPrograms.PathOf("postfix"), ["-c", ConfigDirectory, command]);

    /// <summary>Sends a mail over SMTP; it must be accepted.</summary>
    public async Task SendAsync(string subject, string recipient = "you@example.test")
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(_port);
        Assert.StartsWith("220 ", client.Greeting, StringComparison.Ordinal);
        Assert.StartsWith("250 ", await client.AskAsync("HELO client.example"), StringComparison.Ordinal);
        string reply = await client.MailAsync("friend@example.org", recipient, $"Subject: {subject}\r\n\r\ntext\r\n");
        Assert.StartsWith("250 ", reply, StringComparison.Ordinal);
    }

    /// <summary>Waits for mails; a delivery that was deferred waits for minutes, and flushing brings it forward.</summary>
    public Task FlushUntilAsync(int count, string user = "you") => ServerInstance.UntilAsync(
        async () =>
        {
            await CommandRun.RunAsync(TestPrograms.PathOf("postqueue"), ["-c", ConfigDirectory, "-f"]);
            return Count(user) >= count;
        },
        () => $"fewer than {count} mails for {user}:\n{Log}");

    /// <summary>Waits for mails.</summary>
    public Task MailsAsync(int count, string user = "you") =>
        ServerInstance.UntilAsync(() => Task.FromResult(Count(user) >= count), () => $"fewer than {count} mails for {user}:\n{Log}");

    /// <summary>Waits until the log has a text that many times.</summary>
    public Task LoggedAsync(string text, int times = 1) => ServerInstance.UntilAsync(
        () => Task.FromResult(Log.Split(text).Length > times), () => $"the log has no '{text}', or not {times} times:\n{Log}");

    /// <summary>The mails in a user's Maildir.</summary>
    public IReadOnlyList<string> Mails(string user = "you") => Directory.Exists(NewMail(user)) ? Directory.GetFiles(NewMail(user)) : [];

    /// <summary>The process of a role, by its command line, which names our own configuration directory.</summary>
    public int? ProcessOf(string role)
    {
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                && CommandLine(folder) == $"postwright\0{role}\0-c\0{ConfigDirectory}\0")
            {
                return process;
            }
        }

        return null;
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (Directory.Exists(Path.Combine(Root, "queue", "pid")))
        {
            await PostfixAsync("stop");
        }

        foreach (string role in (string[])["master", "mail", "agent"])
        {
            if (ProcessOf(role) is int left)
            {
                await CommandRun.RunAsync("/bin/kill", ["-9", left.ToString(CultureInfo.InvariantCulture)]);
            }
        }

        try
        {
            Directory.Delete(Root, recursive: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // What was only just killed may still write: the temporary directory is the system's to clean.
        }
    }

    private string NewMail(string user) => Path.Combine(Root, "mail", user, "new");

    private int Count(string user) => Mails(user).Count;

    private static string NameIn(string line) => line.Split('=')[0].Trim();

    private static string CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline"));
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static bool HasUser(string start) => File.ReadLines("/etc/passwd").Any(line => line.StartsWith(start, StringComparison.Ordinal));

    private static bool HasGroup(string start) => File.ReadLines("/etc/group").Any(line => line.StartsWith(start, StringComparison.Ordinal));

    private static string ReadShared(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(file);
        return reader.ReadToEnd();
    }
}
