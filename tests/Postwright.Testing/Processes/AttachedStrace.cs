using System.Diagnostics;
using System.Globalization;

namespace Postwright.Testing.Processes;

/// <summary>strace on a process that runs: every thread of it is traced when <see cref="AttachAsync"/> returns, and none after disposal.</summary>
public sealed class AttachedStrace : IAsyncDisposable
{
    /// <summary>Where it is, if it is installed.</summary>
    public const string Program = "/usr/bin/strace";

    private readonly Process _process;

    private AttachedStrace(Process process, string trace)
    {
        _process = process;
        TracePath = trace;
    }

    /// <summary>The file that it writes; the caller's to delete.</summary>
    public string TracePath { get; }

    /// <summary>Attaches to <paramref name="process"/>.</summary>
    /// <param name="process">Whom.</param>
    /// <param name="arguments">What to trace and to inject.</param>
    public static async Task<AttachedStrace> AttachAsync(int process, params IEnumerable<string> arguments)
    {
        string trace = Path.GetTempFileName();
        string[] all = ["-f", "-qq", "-o", trace, .. arguments, "-p", process.ToString(CultureInfo.InvariantCulture)];
        AttachedStrace attached = new(Process.Start(new ProcessStartInfo(Program, all) { RedirectStandardError = true })!, trace);
        try
        {
            await Until.True(
                () => attached._process.HasExited
                    ? throw new InvalidOperationException("strace: " + attached._process.StandardError.ReadToEnd())
                    : ProcessState.IsTracedBy(process, attached._process.Id),
                () => "strace does not attach");
            return attached;
        }
        catch
        {
            await attached.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
