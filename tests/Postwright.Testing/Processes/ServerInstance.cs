using System.Diagnostics;
using Postwright.Testing.Network;

namespace Postwright.Testing.Processes;

/// <summary>
/// A real Postwright on a private configuration below a temporary directory, listening on a free port of 127.0.0.1, in one
/// process (<c>postfix start-fg</c> as whoever runs the tests). Disposing stops it and removes everything.
/// </summary>
public sealed class ServerInstance : IAsyncDisposable
{
    private const uint NobodyUid = 65534;

    private readonly List<string> _wrapper;
    private Process? _process;

    private ServerInstance(string root, int port, List<string> wrapper)
    {
        Root = root;
        Port = port;
        _wrapper = wrapper;
    }

    /// <summary>The temporary directory.</summary>
    public string Root { get; }

    /// <summary>The smtp port.</summary>
    public int Port { get; }

    /// <summary>For <c>-c</c>.</summary>
    public string ConfigDirectory => Path.Combine(Root, "etc");

    /// <summary>queue_directory.</summary>
    public string QueueDirectory => Path.Combine(Root, "queue");

    /// <summary>The Maildirs of example.test, by user: <c>mail/USER/</c>.</summary>
    public string MailDirectory => Path.Combine(Root, "mail");

    /// <summary>maillog_file's text so far.</summary>
    public string Log => File.Exists(Path.Combine(Root, "maillog")) ? ReadShared(Path.Combine(Root, "maillog")) : "";

    /// <summary>The process that was started: without a wrapper, the one that serves.</summary>
    public int ProcessId => _process?.Id ?? throw new InvalidOperationException("the server is down");

    /// <summary>Makes the configuration and starts the server; returns when it serves all its ports.</summary>
    /// <param name="settings">More lines of main.cf; later ones win.</param>
    /// <param name="rows">More rows of master.cf.</param>
    /// <param name="wrapper">A program and its arguments to run the server under, such as strace.</param>
    /// <param name="start">False to leave it down, with the configuration in place.</param>
    public static async Task<ServerInstance> StartAsync(string settings = "", string rows = "", IEnumerable<string>? wrapper = null, bool start = true)
    {
        ServerInstance instance = new(Directory.CreateTempSubdirectory("postwright-test-").FullName, FreePort.Next(), [.. wrapper ?? []]);
        try
        {
            instance.WriteConfiguration(settings, rows);
            if (start)
            {
                await instance.StartAsync();
            }

            return instance;
        }
        catch
        {
            await instance.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the server, again if it ran before.</summary>
    public async Task StartAsync()
    {
        string[] command = [.. _wrapper, TestPrograms.PathOf("postfix"), "-c", ConfigDirectory, "start-fg"];
        ProcessStartInfo start = new(command[0], command[1..]) { RedirectStandardInput = true, WorkingDirectory = Root };
        _process = Process.Start(start) ?? throw new InvalidOperationException("the server did not start");
        _process.StandardInput.Close();
        await UntilAsync(ServesAsync, () => $"the server does not serve port {Port}:\n{Log}");
    }

    /// <summary>Kills the server as a power cut would, if the kernel went on.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    /// <summary>postfix stop, and waits for the end.</summary>
    public async Task StopAsync()
    {
        if (_process is { } process)
        {
            await RunAsync("postfix", ["stop"]);
            using CancellationTokenSource limit = new(CommandRun.Limit);
            try
            {
                await process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"the server did not stop:\n{Log}");
            }

            process.Dispose();
            _process = null;
        }
    }

    /// <summary>Runs one of our commands with <c>-c</c> this configuration (<c>-C</c> for sendmail).</summary>
    public Task<CommandRun> RunAsync(string command, IEnumerable<string> arguments, string input = "") =>
        CommandRun.RunAsync(TestPrograms.PathOf(command), [command is "sendmail" or "mailq" or "newaliases" ? "-C" : "-c", ConfigDirectory, .. arguments], input, Root);

    /// <summary>Waits until the log has a line with this text.</summary>
    public Task LoggedAsync(string text) =>
        UntilAsync(() => Task.FromResult(Log.Contains(text, StringComparison.Ordinal)), () => $"the log never had '{text}':\n{Log}");

    /// <summary>The mails in a user's Maildir, waiting until there are at least <paramref name="count"/>.</summary>
    public async Task<IReadOnlyList<string>> MailAsync(string user, int count = 1)
    {
        string folder = Path.Combine(MailDirectory, user, "new");
        await UntilAsync(() => Task.FromResult(Directory.Exists(folder) && Directory.GetFiles(folder).Length >= count),
            () => $"fewer than {count} mails in {folder}:\n{Log}");
        return [.. Directory.GetFiles(folder).Select(File.ReadAllText)];
    }

    /// <summary>Waits until a condition holds, for two minutes at most.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> otherwise)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > CommandRun.Limit)
            {
                throw new TimeoutException(otherwise());
            }

            await Task.Delay(20);
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        try
        {
            Directory.Delete(Root, recursive: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // A process that is only just ending may still write: the temporary directory is the system's to clean.
        }
    }

    private static string ReadShared(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(file);
        return reader.ReadToEnd();
    }

    private Task<bool> ServesAsync() => _process is { HasExited: true }
        ? throw new InvalidOperationException($"the server ended with status {_process.ExitCode}:\n{Log}")
        : LoopbackPort.GreetsAsync(Port);

    private void WriteConfiguration(string settings, string rows)
    {
        foreach (string folder in (string[])["etc", "queue", "data", "mail"])
        {
            Directory.CreateDirectory(Path.Combine(Root, folder));
        }

        // Root's mail is not delivered as root: the mailboxes then belong to nobody, who must get there.
        (uint uid, uint gid) = Environment.IsPrivilegedProcess ? (NobodyUid, NobodyUid) : (Identity("-u"), Identity("-g"));
        File.SetUnixFileMode(Root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        if (Environment.IsPrivilegedProcess)
        {
            using Process own = Process.Start("chown", ["65534:65534", MailDirectory]);
            own.WaitForExit();
        }

        File.WriteAllText(Path.Combine(ConfigDirectory, "main.cf"), $"""
            compatibility_level = 3.6
            myhostname = mail.example.test
            mydestination =
            mynetworks = 127.0.0.0/8
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            mail_owner = {Environment.UserName}
            queue_directory = {QueueDirectory}
            data_directory = {Path.Combine(Root, "data")}
            maillog_file = {Path.Combine(Root, "maillog")}
            maillog_file_prefixes = {Root}
            alias_maps =
            alias_database =
            smtpd_peername_lookup = no
            virtual_mailbox_domains = example.test
            virtual_mailbox_base = {MailDirectory}
            virtual_mailbox_maps = pcre:{Path.Combine(ConfigDirectory, "mailboxes")}
            virtual_uid_maps = static:{uid}
            virtual_gid_maps = static:{gid}
            virtual_minimum_uid = 1
            smtpd_client_connection_count_limit = 0
            {settings.ReplaceLineEndings("\n")}

            """);
        File.WriteAllText(Path.Combine(ConfigDirectory, "mailboxes"), "/^([a-z0-9]+)@example\\.test$/ $1/\n");
        File.WriteAllText(Path.Combine(ConfigDirectory, "master.cf"), $"""
            127.0.0.1:{Port} inet n - n - - smtpd
            pickup unix n - n 60 1 pickup
            cleanup unix n - n - 0 cleanup
            qmgr unix n - n 300 1 qmgr
            rewrite unix - - n - - trivial-rewrite
            bounce unix - - n - 0 bounce
            defer unix - - n - 0 bounce
            trace unix - - n - 0 bounce
            smtp unix - - n - - smtp
            relay unix - - n - - smtp
            lmtp unix - - n - - lmtp
            error unix - - n - - error
            retry unix - - n - - error
            discard unix - - n - - discard
            local unix - n n - - local
            virtual unix - n n - - virtual
            {rows}

            """);
    }

    private static uint Identity(string option)
    {
        using Process id = Process.Start(new ProcessStartInfo("id", option) { RedirectStandardOutput = true })!;
        string text = id.StandardOutput.ReadToEnd();
        id.WaitForExit();
        return uint.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
    }
}
