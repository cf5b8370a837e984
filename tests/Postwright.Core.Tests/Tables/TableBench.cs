using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Logging;
using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

/// <summary>A registry with a temporary directory, a clock that stands still and a log that is kept.</summary>
internal sealed class TableBench : IDisposable
{
    private readonly Lines _lines = new();

    public TableBench()
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("postwright-tables-").FullName;
        Log = new MailLog(_lines, "postfix/test", 1);
        Registry = new TableRegistry(Log, Time);
    }

    public string Directory { get; }

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UnixEpoch.AddYears(60));

    public MailLog Log { get; }

    public TableRegistry Registry { get; }

    public IReadOnlyList<string> LogLines => [.. _lines.All];

    public string this[string file] => Path.Combine(Directory, file);

    public string Write(string file, string content)
    {
        string path = this[file];
        File.WriteAllText(path, content);
        return path;
    }

    public void ClearLog() => _lines.All.Clear();

    public async Task<string> AskAsync(string table, string key)
    {
        LookupResult result = await Registry.Open(table).LookupAsync(key, CancellationToken.None);
        return result.Status switch
        {
            LookupStatus.Found => "=" + result.Value,
            LookupStatus.NotFound => "-",
            _ => "!",
        };
    }

    public void Dispose()
    {
        Registry.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    /// <summary>Runs the installed Postfix's program, or skips the test where there is none.</summary>
    public (int Status, string Out, string Error) Postfix(string program, string input, params string[] arguments)
    {
        string path = "/usr/sbin/" + program;
        Assert.SkipUnless(File.Exists(path), $"{path} is not installed");
        return Run(path, input, arguments);
    }

    public (int Status, string Out, string Error) Run(string path, string input, params string[] arguments)
    {
        if (!File.Exists(this["main.cf"]))
        {
            // Postfix waits until a file that was written this very moment is a second old.
            File.SetLastWriteTimeUtc(Write("main.cf", "compatibility_level = 3.6\nalias_database =\n"), DateTime.UnixEpoch.AddYears(50));
        }

        // Input and output are files, so that no thread waits for a pipe. The runtime raises the limit of descriptors, and
        // Postfix's programs close every possible one when they start.
        string streams = System.IO.Directory.CreateTempSubdirectory("postwright-streams-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(streams, "in"), input);
            var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = Directory };
            start.Environment["MAIL_CONFIG"] = Directory;
            string script = $"ulimit -n 1024; exec \"$0\" \"$@\" <{streams}/in >{streams}/out 2>{streams}/err";
            foreach (string argument in (string[])["-c", script, path, .. arguments])
            {
                start.ArgumentList.Add(argument);
            }

            using Process process = Process.Start(start)!;
            if (!process.WaitForExit(TimeSpan.FromSeconds(120)))
            {
                process.Kill(entireProcessTree: true);
                Assert.Fail($"{path} does not end");
            }

            return (process.ExitCode, File.ReadAllText(Path.Combine(streams, "out")), File.ReadAllText(Path.Combine(streams, "err")));
        }
        finally
        {
            System.IO.Directory.Delete(streams, recursive: true);
        }
    }

    private sealed class Lines : ILogSink
    {
        public ConcurrentQueue<string> All { get; } = new();

        public void Write(LogLevel level, string tag, int number, string text) => All.Enqueue(text);
    }
}
