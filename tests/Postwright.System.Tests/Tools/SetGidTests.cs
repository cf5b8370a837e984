using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

/// <summary>The set-gid programs against a caller who wants their group: copies of the published files, set-gid, run as nobody.</summary>
public sealed class SetGidTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("postwright-setgid-").FullName;

    public static TheoryData<string> HostileVariables =>
    [
        "DOTNET_GCHeapHardLimit=1", "DOTNET_GCHeapHardLimitPercent=1", "DOTNET_gcServer=1", "DOTNET_GCgen0size=1", "DOTNET_EnableEventPipe=1", "DOTNET_DbgEnableMiniDump=1",
        "DOTNET_EnableDiagnostics=1", "DOTNET_DiagnosticPorts=/tmp/nobody", "DOTNET_TieredCompilation=x", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=0",
        "DOTNET_LTTng=1", "COMPlus_GCHeapHardLimit=1", "TZ=/etc/shadow", "TERMINFO=/tmp", "MAIL_CONFIG=relative",
    ];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(HostileVariables))]
    public async Task No_variable_of_the_callers_reaches_the_runtime(string variable)
    {
        foreach (string program in (string[])["postdrop", "postqueue", "postlog"])
        {
            CommandRun run = await RunAsNobodyAsync(program, [variable], "-Z");
            Assert.Contains($"{program}: fatal: usage: ", run.Error, StringComparison.Ordinal);
            Assert.InRange(run.ExitStatus, 1, 69);
        }
    }

    [Fact]
    public async Task A_configuration_of_the_callers_choice_is_refused()
    {
        File.WriteAllText(Path.Combine(_folder, "main.cf"), "queue_directory = /tmp\n");
        foreach (string program in (string[])["postdrop", "postqueue", "postlog"])
        {
            CommandRun named = await RunAsNobodyAsync(program, [], "-c", _folder, program == "postqueue" ? "-p" : "-v");
            CommandRun inherited = await RunAsNobodyAsync(program, [$"MAIL_CONFIG={_folder}"], program == "postqueue" ? "-p" : "-v");
            Assert.Equal(named, inherited);
            Assert.StartsWith(
                $"{program}: error: unauthorized configuration directory name: {_folder}\n{program}: fatal: specify \"alternate_config_directories = {_folder}\" or ", named.Error, StringComparison.Ordinal);
            Assert.Equal(program == "postqueue" ? 69 : 1, named.ExitStatus);
        }
    }

    [Fact]
    public async Task An_empty_MAIL_CONFIG_is_not_the_default_directory()
    {
        CommandRun run = await RunAsNobodyAsync("postqueue", ["MAIL_CONFIG="], "-p");
        Assert.StartsWith("postqueue: error: unauthorized configuration directory name: \n", run.Error, StringComparison.Ordinal);
        Assert.Equal(69, run.ExitStatus);
    }

    [Fact]
    public async Task Closed_standard_descriptors_do_no_harm()
    {
        CommandRun run = await RunAsNobodyAsync("postdrop", [], "-Z");
        Assert.Equal(1, run.ExitStatus);
        string program = Path.Combine(_folder, "postdrop");
        CommandRun closed = await CommandRun.RunAsync("/bin/sh", ["-c", $"setpriv --reuid=65534 --regid=65534 --clear-groups {program} -Z <&- >&- 2>&-"]);
        Assert.Equal(1, closed.ExitStatus);
    }

    private async Task<CommandRun> RunAsNobodyAsync(string program, string[] variables, params string[] arguments)
    {
        string published = TestPrograms.PathOf(program);
        Assert.SkipUnless(Environment.UserName == "root" && File.Exists("/usr/bin/setpriv"), "needs root and setpriv");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("POSTWRIGHT_SBIN") is not null && new FileInfo(published).LinkTarget is null, "needs the published programs");
        string copy = Path.Combine(_folder, program);
        if (!File.Exists(copy))
        {
            File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);

            // By another process: what this one has open to write, a process that another test is just starting has too, and
            // a file that is open to write cannot be run.
            Assert.Equal(0, (await CommandRun.RunAsync("install", ["--mode=2755", "--group=daemon", published, copy])).ExitStatus);
        }

        return await CommandRun.RunAsync("/usr/bin/setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", "env", .. variables, copy, .. arguments]);
    }
}
