using System.Diagnostics;
using System.Globalization;

namespace Postwright.Testing.Processes;

/// <summary>
/// A server of another project, started by a test on loopback in a temporary directory, as a user without privileges: its data
/// can be made first, it can be stopped, started again, and suspended with everything it started (which is what a slow server
/// looks like). Ends with the test.
/// </summary>
public sealed class RealServer : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly string _user;
    private readonly string _program;
    private readonly string[] _arguments;
    private readonly Func<Task<bool>> _isReady;
    private Process? _process;

    /// <summary>Describes the server; <see cref="StartAsync"/> starts it.</summary>
    /// <param name="folder">Its directory; belongs to the user from now on.</param>
    /// <param name="user">Who runs it when the tests run as root.</param>
    /// <param name="program">The program's path.</param>
    /// <param name="arguments">Its arguments; it must stay in the foreground.</param>
    /// <param name="isReady">Says whether it answers.</param>
    public RealServer(string folder, string user, string program, IEnumerable<string> arguments, Func<Task<bool>> isReady)
    {
        Folder = folder;
        _user = user;
        _program = program;
        _arguments = [.. arguments];
        _isReady = isReady;
    }

    /// <summary>The directory.</summary>
    public string Folder { get; }

    /// <summary>A new directory that <paramref name="user"/> owns.</summary>
    public static async Task<string> MakeFolderAsync(string user)
    {
        string folder = Directory.CreateTempSubdirectory("postwright-server-").FullName;
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("/bin/chown", [user, folder]);
            File.SetUnixFileMode(folder, (UnixFileMode)0x1ed);
        }

        return folder;
    }

    /// <summary>Runs a program to its end as <paramref name="user"/> (or as ourselves, without privileges); fails when it does.</summary>
    public static async Task<string> RunAsAsync(string user, string program, IEnumerable<string> arguments, string input = "")
    {
        (string file, IEnumerable<string> all) = As(user, program, arguments);
        return await RunAsync(file, all, input);
    }

    /// <summary>Starts the server and waits until it answers.</summary>
    public async Task StartAsync()
    {
        (string file, IEnumerable<string> all) = As(_user, _program, _arguments);
        ProcessStartInfo start = new("/usr/bin/setsid", [file, .. all])
        {
            WorkingDirectory = Folder,
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        _process.StandardInput.Close();
        List<string> said = [];
        void Keep(object sender, DataReceivedEventArgs line)
        {
            lock (said)
            {
                said.Add(line.Data ?? "");
            }
        }

        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        Stopwatch watch = Stopwatch.StartNew();
        while (!await _isReady())
        {
            if (_process.HasExited || watch.Elapsed > Limit)
            {
                lock (said)
                {
                    throw new InvalidOperationException($"{_program} does not start: {string.Join('\n', said)}");
                }
            }

            await Task.Delay(20);
        }
    }

    /// <summary>Stops the server and waits for its end.</summary>
    /// <param name="signal">The signal that asks it for a quick end.</param>
    public Task StopAsync(string signal = "TERM") => StopAsync(signal, Limit);

    private async Task StopAsync(string signal, TimeSpan patience)
    {
        if (_process is null)
        {
            return;
        }

        await SignalAsync(signal, [_process.Id]);
        using CancellationTokenSource limit = new(patience);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
        _process = null;
    }

    /// <summary>From now on the server does nothing, with its sockets open.</summary>
    public async Task SuspendAsync()
    {
        // A thread goes on until another one has taken the signal.
        List<int> family = Family();
        await SignalAsync("STOP", family);
        await Until.True(() => family.TrueForAll(ProcessState.IsStopped), () => $"{_program} does not stand still");
    }

    /// <summary>The server goes on.</summary>
    public Task ResumeAsync() => SignalAsync("CONT", Family());

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            // It may wait for clients that never leave.
            await ResumeAsync();
            await StopAsync("TERM", TimeSpan.FromSeconds(20));
        }

        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (IOException)
        {
            // What was only just killed may still write: the temporary directory is the system's to clean.
        }
    }

    private static (string File, IEnumerable<string> Arguments) As(string user, string program, IEnumerable<string> arguments) =>
        Environment.IsPrivilegedProcess
            ? ("/usr/bin/setpriv", ["--reuid", user, "--regid", user, "--clear-groups", program, .. arguments])
            : (program, arguments);

    private static async Task<string> RunAsync(string program, IEnumerable<string> arguments, string input = "")
    {
        CommandRun run = await CommandRun.RunAsync(program, arguments, input);
        return run.ExitStatus == 0 ? run.Output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {run.Output}{run.Error}");
    }

    private static async Task SignalAsync(string signal, IEnumerable<int> processes) =>
        await CommandRun.RunAsync("/bin/kill", [$"-{signal}", .. processes.Select(static id => id.ToString(CultureInfo.InvariantCulture))]);

    /// <summary>The server and what it started.</summary>
    private List<int> Family()
    {
        int root = _process!.Id;
        List<int> family = [root];
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int id))
            {
                try
                {
                    string stat = File.ReadAllText(Path.Combine(folder, "stat"));
                    if (stat[(stat.LastIndexOf(')') + 4)..].Split(' ')[0] == root.ToString(CultureInfo.InvariantCulture))
                    {
                        family.Add(id);
                    }
                }
                catch (IOException)
                {
                    // It has ended.
                }
            }
        }

        return family;
    }
}
