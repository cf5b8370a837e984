using System.Text;
using System.Text.RegularExpressions;
using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

/// <summary>A queue directory with a maildrop, no mail system running, and a configuration for it; for ours or for Debian's Postfix.</summary>
internal sealed partial class LocalQueue : IDisposable
{
    private readonly bool _oracle;

    public LocalQueue(bool oracle = false, string settings = "")
    {
        _oracle = oracle;
        Root = Directory.CreateTempSubdirectory("postwright-tools-").FullName;
        foreach (string folder in (string[])["etc", "data", "queue/maildrop", "queue/public", "queue/incoming", "queue/active", "queue/deferred", "queue/hold"])
        {
            Directory.CreateDirectory(Path.Combine(Root, folder));
        }

        File.WriteAllText(Path.Combine(Root, "etc/main.cf"), $"""
            compatibility_level = 3.6
            queue_directory = {Root}/queue
            data_directory = {Root}/data
            myhostname = host.example.com
            mail_owner = {(oracle ? "postfix" : Environment.UserName)}
            maillog_file = {Root}/maillog
            maillog_file_prefixes = {Root}
            {(oracle ? "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin" : "")}
            {settings}

            """);
        // Postfix waits two seconds before it trusts a file that has only just changed.
        File.SetLastWriteTimeUtc(Path.Combine(Root, "etc/main.cf"), DateTime.UnixEpoch.AddYears(50));
        File.WriteAllText(Path.Combine(Root, "etc/master.cf"), "");
    }

    /// <summary>Debian's Postfix, which judges, is here and may be run with a configuration of our own.</summary>
    public static bool HasOracle => File.Exists("/usr/sbin/postdrop") && File.Exists("/usr/lib/postfix/sbin/master") && Environment.UserName == "root";

    public string Root { get; }

    public string Maildrop => Path.Combine(Root, "queue/maildrop");

    public string ConfigDirectory => Path.Combine(Root, "etc");

    public string[] Files => [.. Directory.GetFiles(Maildrop).Order(StringComparer.Ordinal)];

    /// <summary>Runs a command; its messages with this machine's paths taken out.</summary>
    public async Task<CommandRun> RunAsync(string command, string input, params string[] arguments)
    {
        string program = _oracle ? $"/usr/sbin/{command}" : TestPrograms.PathOf(command);
        string option = command is "sendmail" or "mailq" ? "-C" : "-c";
        CommandRun run = await CommandRun.RunAsync(program, [option, ConfigDirectory, .. arguments], input, Root);
        return run with { Output = run.Output.Replace(Root, "ROOT", StringComparison.Ordinal), Error = run.Error.Replace(Root, "ROOT", StringComparison.Ordinal) };
    }

    /// <summary>The bytes of the maildrop files, without the time that each begins with.</summary>
    public string Contents() => string.Join('\n', Files.Select(static file => TimeRecord().Replace(Encoding.Latin1.GetString(File.ReadAllBytes(file)), "T", 1)
        + Convert.ToString((int)File.GetUnixFileMode(file), 8)));

    public void Dispose() => Directory.Delete(Root, recursive: true);

    [GeneratedRegex(@"^T.\d+ +\d+", RegexOptions.Singleline)]
    private static partial Regex TimeRecord();
}
