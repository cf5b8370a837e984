using System.Text;
using Postwright.Testing.Network;

namespace Postwright.Testing.Processes;

/// <summary>
/// The machine's Postfix with configuration, queue and data of its own in a temporary directory, on ports of its own, logging
/// to a file there: the judge of what Postwright says. Stopped and removed at the end. The system's own instance is not touched.
/// </summary>
public sealed class PostfixInstance : IAsyncDisposable
{
    private const string Program = "/usr/sbin/postfix";

    private readonly string _root;

    private PostfixInstance(string root, IReadOnlyList<int> ports)
    {
        _root = root;
        Ports = ports;
    }

    /// <summary>Why there can be no instance on this machine, or null.</summary>
    public static string? Obstacle =>
        !File.Exists(Program) || !File.Exists("/usr/lib/postfix/sbin/smtpd") ? "Postfix is not installed"
        : Environment.UserName != "root" ? "a private Postfix must be started by root"
        : null;

    /// <summary>The ports of the smtpd services, in the order of their settings.</summary>
    public IReadOnlyList<int> Ports { get; }

    /// <summary>The log so far.</summary>
    public string Log => File.Exists(Path.Combine(_root, "maillog")) ? File.ReadAllText(Path.Combine(_root, "maillog")) : "";

    /// <summary>The configuration's directory, for tools with <c>-c</c>.</summary>
    public string ConfigDirectory => Path.Combine(_root, "etc");

    /// <summary>Starts an instance.</summary>
    /// <param name="settings">main.cf, without directories, log and interfaces.</param>
    /// <param name="services">For each smtpd service its overrides, as <c>name = value</c>.</param>
    public static async Task<PostfixInstance> StartAsync(string settings, IReadOnlyList<IReadOnlyList<string>> services)
    {
        string root = Directory.CreateTempSubdirectory("postwright-postfix-").FullName;
        PostfixInstance instance = new(root, [.. services.Select(static _ => FreePort.Next())]);
        try
        {
            await instance.WriteAsync(settings, services);
            CommandRun run = await CommandRun.RunAsync(Program, ["-c", instance.ConfigDirectory, "start"]);
            if (run.ExitStatus != 0)
            {
                throw new InvalidOperationException($"postfix did not start: {run.Output}{run.Error}{instance.Log}");
            }

            return instance;
        }
        catch
        {
            await instance.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        await CommandRun.RunAsync(Program, ["-c", ConfigDirectory, "abort"]);
        try
        {
            Directory.Delete(_root, recursive: true);
        }
        catch (IOException)
        {
            // A daemon that is about to end still made a file; the directory is a temporary one.
        }
    }

    private async Task WriteAsync(string settings, IReadOnlyList<IReadOnlyList<string>> services)
    {
        // Its daemons run as the mail owner and must come through.
        File.SetUnixFileMode(_root, (UnixFileMode)0b111_101_101);
        foreach (string folder in new[] { "etc", "queue", "data" })
        {
            Directory.CreateDirectory(Path.Combine(_root, folder));
        }

        await CommandRun.RunAsync("/bin/chown", ["postfix", Path.Combine(_root, "data")]);
        foreach (string file in new[] { "postfix-files", "dynamicmaps.cf" })
        {
            if (File.Exists("/etc/postfix/" + file))
            {
                File.Copy("/etc/postfix/" + file, Path.Combine(ConfigDirectory, file));
            }
        }

        await File.WriteAllTextAsync(Path.Combine(ConfigDirectory, "main.cf"), $"""
            queue_directory = {_root}/queue
            data_directory = {_root}/data
            command_directory = /usr/sbin
            daemon_directory = /usr/lib/postfix/sbin
            maillog_file = {_root}/maillog
            maillog_file_prefixes = {_root}
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            local_transport = discard
            virtual_transport = discard
            relay_transport = discard
            default_transport = discard
            {settings}
            """);
        StringBuilder master = new();
        for (int i = 0; i < services.Count; i++)
        {
            master.Append(System.Globalization.CultureInfo.InvariantCulture, $"127.0.0.1:{Ports[i]} inet n - n - - smtpd\n");
            foreach (string setting in services[i])
            {
                master.Append("  -o { ").Append(setting).Append(" }\n");
            }
        }

        master.Append(PostfixRows.Inside);
        await File.WriteAllTextAsync(Path.Combine(ConfigDirectory, "master.cf"), master.ToString());
    }
}
