using System.Diagnostics;
using System.Net;
using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Postconf;
using Postwright.Core.Posix;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Runs postconf in this process, and Postfix's own where it is installed.</summary>
internal static class PostconfHarness
{
    public const string Oracle = "/usr/sbin/postconf";

    /// <summary>False where there is no Postfix, or where the name is a link to ours.</summary>
    public static bool HasOracle => File.Exists(Oracle) && new FileInfo(Oracle).LinkTarget is null;

    public sealed record Result(int ExitCode, string Output, string Errors);

    public static Result Ours(string program, params string[] arguments)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        int code = new PostconfProgram(program, output, errors, new LinuxDisk(), Host).Run(arguments, null);
        return new Result(code, output.ToString(), errors.ToString());
    }

    /// <summary>The real names and addresses, so that both derive the same defaults.</summary>
    private static HostFacts Host { get; } = HostFacts.OfThisMachine();

    public static Result Theirs(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(Oracle, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("MAIL_CONFIG");
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(120_000))
        {
            process.Kill();
            throw new TimeoutException("postconf did not end");
        }

        return new Result(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    /// <summary>A machine that no real one is like, for tests without an oracle.</summary>
    public static HostFacts Somewhere { get; } = new("mx.example.org", [new InterfaceAddress(IPAddress.Loopback, 8)]);

    public static string TemporaryFolder() => Directory.CreateTempSubdirectory("postwright-config-").FullName;
}
