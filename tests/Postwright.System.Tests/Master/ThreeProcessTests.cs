using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Postwright.Testing;
using Postwright.Testing.Network;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Master;

/// <summary>What root gets: master, mail and agent, on a private configuration; mail is delivered as nobody.</summary>
[Collection("real servers")]
public sealed class ThreeProcessTests : IAsyncLifetime
{
    private const uint Nobody = 65534;
    private readonly string _root = Directory.CreateTempSubdirectory("postwright-three-").FullName;
    private readonly int _port = FreePort.Next();

    private string ConfigDirectory => Path.Combine(_root, "etc");

    private string Log => File.Exists(Path.Combine(_root, "maillog")) ? ReadShared(Path.Combine(_root, "maillog")) : "";

    private string NewMail => Path.Combine(_root, "mail", "you", "new");

    public ValueTask InitializeAsync()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "three processes need root");
        Assert.SkipUnless(HasUser("postfix:") && HasGroup("postdrop:"), "the user postfix and the group postdrop do not exist");
        foreach (string folder in (string[])["etc", "queue", "mail"])
        {
            Directory.CreateDirectory(Path.Combine(_root, folder));
        }

        // The mail process runs as another user and must get here.
        File.SetUnixFileMode(_root, (UnixFileMode)0b111_101_101);
        Process.Start("chown", ["65534:65534", Path.Combine(_root, "mail")]).WaitForExit();
        File.WriteAllText(Path.Combine(ConfigDirectory, "main.cf"), $$"""
            compatibility_level = 3.6
            myhostname = mail.example.test
            mydestination =
            mynetworks = 127.0.0.0/8
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            queue_directory = {{_root}}/queue
            data_directory = {{_root}}/data
            maillog_file = {{_root}}/maillog
            maillog_file_prefixes = {{_root}}
            alias_maps =
            alias_database =
            smtpd_peername_lookup = no
            virtual_mailbox_domains = example.test
            virtual_mailbox_base = {{_root}}/mail
            virtual_mailbox_maps = inline:{you@example.test=you/}
            virtual_uid_maps = static:{{Nobody}}
            virtual_gid_maps = static:{{Nobody}}

            """);
        WriteMasterCf("");
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        if (Directory.Exists(Path.Combine(_root, "queue", "pid")))
        {
            await PostfixAsync("stop");
        }

        foreach (string role in (string[])["master", "mail", "agent"])
        {
            await CommandRun.RunAsync("pkill", ["-9", "-f", $"^postwright {role} -c {ConfigDirectory}$"]);
        }

        try
        {
            Directory.Delete(_root, recursive: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // What was only just killed may still write: the temporary directory is the system's to clean.
        }
    }

    [Fact]
    public async Task Mail_faces_the_network_without_root_and_the_agent_delivers_as_the_mailbox_s_owner()
    {
        await StartAsync();
        Assert.Equal(IdOf("postfix"), OwnerOf(ProcessOf("mail")!.Value));
        Assert.Equal(0u, OwnerOf(ProcessOf("agent")!.Value));
        Assert.Equal(0u, OwnerOf(ProcessOf("master")!.Value));
        await SendAsync("first");
        await MailsAsync(1);
        CommandRun owner = await CommandRun.RunAsync("stat", ["-c", "%u:%g", Directory.GetFiles(NewMail)[0]]);
        Assert.Equal("65534:65534", owner.Output.Trim());
    }

    [Fact]
    public async Task Who_is_killed_comes_back_and_no_client_is_refused_meanwhile()
    {
        await StartAsync();
        int expected = 0;
        foreach (string role in (string[])["mail", "agent"])
        {
            int before = ProcessOf(role)!.Value;
            Process.GetProcessById(before).Kill();

            // Master's sockets stay open: this connects at once and is served when the new process is there.
            await SendAsync($"after {role}");
            await ServerInstance.UntilAsync(() => Task.FromResult(ProcessOf(role) is int now && now != before), () => $"{role} did not come back:\n{Log}");
            await ServerInstance.UntilAsync(
                () => Task.FromResult(Log.Contains($"{role} pid {before} killed by signal 9", StringComparison.Ordinal)), () => $"the log does not say why:\n{Log}");
            expected++;
            await FlushUntilAsync(expected);
        }
    }

    [Fact]
    public async Task A_reload_hands_new_sockets_over_and_closes_those_that_are_gone()
    {
        await StartAsync();
        int mail = ProcessOf("mail")!.Value;
        int port = FreePort.Next();
        WriteMasterCf($"127.0.0.1:{port} inet n - n - - smtpd");
        Assert.Equal(0, (await PostfixAsync("reload")).ExitStatus);
        await ServerInstance.UntilAsync(() => CanConnectAsync(port), () => $"nobody listens on the new port:\n{Log}");
        WriteMasterCf("");
        File.Move(Path.Combine(_root, "maillog"), Path.Combine(_root, "maillog.1"));
        Assert.Equal(0, (await PostfixAsync("reload")).ExitStatus);
        await ServerInstance.UntilAsync(async () => !await CanConnectAsync(port), () => $"the old port still answers:\n{Log}");
        await SendAsync("into the new log");
        await MailsAsync(1);
        await ServerInstance.UntilAsync(
            () => Task.FromResult(Log.Contains("status=sent", StringComparison.Ordinal)), () => $"the new log has no delivery:\n{Log}");
        Assert.Equal(mail, ProcessOf("mail"));
    }

    [Fact]
    public async Task When_master_is_gone_its_children_end()
    {
        await StartAsync();
        int[] children = [ProcessOf("mail")!.Value, ProcessOf("agent")!.Value];
        int master = ProcessOf("master")!.Value;
        Process.GetProcessById(master).Kill();
        await ServerInstance.UntilAsync(
            () => Task.FromResult(HasEnded(master) && children.All(HasEnded)), () => $"children outlive master:\n{Log}");
        await StartAsync();
    }

    [Fact]
    public async Task Stop_ends_all_three()
    {
        await StartAsync();
        Assert.Equal(0, (await PostfixAsync("stop")).ExitStatus);
        await ServerInstance.UntilAsync(
            () => Task.FromResult(ProcessOf("master") is null && ProcessOf("mail") is null && ProcessOf("agent") is null), () => $"something still runs:\n{Log}");
        Assert.Equal(1, (await PostfixAsync("status")).ExitStatus);
    }

    [Fact]
    public async Task The_trampoline_leaves_nothing_of_root()
    {
        CommandRun run = await CommandRun.RunAsync(
            TestPrograms.PathOf("postwright"),
            ["trampoline", "--files", "--user", "65534:65533", "/bin/sh", "sh", "-c", "id -u; id -G; grep ^Uid: /proc/self/status; [ $(ulimit -Sn) = $(ulimit -Hn) ] && echo raised"]);
        Assert.Equal(["65534", "65533", "Uid:\t65534\t65534\t65534\t65534", "raised"], run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private async Task StartAsync()
    {
        CommandRun start = await PostfixAsync("start");
        Assert.True(start.ExitStatus == 0, start.Error + Log);
    }

    private Task<CommandRun> PostfixAsync(string command) => CommandRun.RunAsync(TestPrograms.PathOf("postfix"), ["-c", ConfigDirectory, command]);

    private async Task SendAsync(string subject)
    {
        await using SmtpTestClient client = await SmtpTestClient.ConnectAsync(_port);
        Assert.StartsWith("220 ", client.Greeting, StringComparison.Ordinal);
        Assert.StartsWith("250 ", await client.AskAsync("HELO client.example"), StringComparison.Ordinal);
        string reply = await client.MailAsync("friend@example.org", "you@example.test", $"Subject: {subject}\r\n\r\ntext\r\n");
        Assert.StartsWith("250 ", reply, StringComparison.Ordinal);
    }

    // A delivery that met no agent is deferred for minutes; flushing brings it forward.
    private Task FlushUntilAsync(int count) => ServerInstance.UntilAsync(
        async () =>
        {
            await CommandRun.RunAsync(TestPrograms.PathOf("postqueue"), ["-c", ConfigDirectory, "-f"]);
            return Count() >= count;
        },
        () => $"fewer than {count} mails:\n{Log}");

    private Task MailsAsync(int count) => ServerInstance.UntilAsync(() => Task.FromResult(Count() >= count), () => $"fewer than {count} mails:\n{Log}");

    private int Count() => Directory.Exists(NewMail) ? Directory.GetFiles(NewMail).Length : 0;

    private void WriteMasterCf(string row) => File.WriteAllText(Path.Combine(ConfigDirectory, "master.cf"), $"""
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

    // By its command line, which names our own configuration directory.
    private int? ProcessOf(string role)
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

    // A process that ends loses its command line first and its sockets later; at Z (nobody waited for it yet) both are gone.
    private static bool HasEnded(int process)
    {
        try
        {
            return File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("State:", StringComparison.Ordinal)).Contains('Z', StringComparison.Ordinal);
        }
        catch (Exception gone) when (gone is IOException or InvalidOperationException)
        {
            return true;
        }
    }

    private static uint OwnerOf(int process) => uint.Parse(
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1],
        CultureInfo.InvariantCulture);

    private static uint IdOf(string user) => uint.Parse(
        File.ReadLines("/etc/passwd").First(line => line.StartsWith(user + ":", StringComparison.Ordinal)).Split(':')[2], CultureInfo.InvariantCulture);

    private static bool HasUser(string start) => File.ReadLines("/etc/passwd").Any(line => line.StartsWith(start, StringComparison.Ordinal));

    private static bool HasGroup(string start) => File.ReadLines("/etc/group").Any(line => line.StartsWith(start, StringComparison.Ordinal));

    private static async Task<bool> CanConnectAsync(int port)
    {
        using Socket probe = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await probe.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string ReadShared(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(file);
        return reader.ReadToEnd();
    }
}
