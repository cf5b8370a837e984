using System.Diagnostics;

namespace Postwright.Testing.Processes;

/// <summary>What a finished command left: its exit status and everything it printed.</summary>
public sealed record CommandRun(int ExitStatus, string Output, string Error)
{
    /// <summary>Far more than any command takes, even on a machine that is ten times slower.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>The same for a script of many commands.</summary>
    public static readonly TimeSpan ScriptLimit = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Runs a program to its end, with <paramref name="input"/> on its standard input; kills it, with its children, when the
    /// limit passes (which fails the test by an exception): <paramref name="limit"/>, or <see cref="Limit"/> for a single command.
    /// </summary>
    public static async Task<CommandRun> RunAsync(string program, IEnumerable<string> arguments, string input = "", string? folder = null,
        IEnumerable<KeyValuePair<string, string>>? environment = null, TimeSpan? limit = null)
    {
        TimeSpan most = limit ?? Limit;
        ProcessStartInfo start = new(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        foreach ((string name, string value) in environment ?? [])
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        using CancellationTokenSource end = new(most);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(end.Token);
            Task<string> error = process.StandardError.ReadToEndAsync(end.Token);
            try
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), end.Token);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading its input, as it may.
            }

            await process.WaitForExitAsync(end.Token);
            return new CommandRun(process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', start.ArgumentList)} did not end within {most}");
        }
    }
}
