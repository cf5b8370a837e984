using System.Globalization;
using System.Runtime.InteropServices;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Durability;

/// <summary>
/// System calls of a real server that fail while mail flows (strace's injection), and a process that stands still for a moment:
/// nothing acknowledged is lost, and service comes back by itself.
/// </summary>
[Collection("real servers")]
public sealed partial class InjectedFaultTests
{
    private const int SigCont = 18;
    private const int SigStop = 19;

    // Mailbox deliveries that fail are tried again at once; small segments make new files often.
    private const string Settings = """
        spool_segment_size = 1048576
        minimal_backoff_time = 1s
        maximal_backoff_time = 2s
        queue_run_delay = 1s
        smtpd_soft_error_limit = 10000
        smtpd_hard_error_limit = 10000
        """;

    [Theory]
    [InlineData("pwritev,pwrite64,pwritev2", "ENOSPC", "1+4", "")]
    [InlineData("fallocate", "ENOSPC", "1+2", "")]
    [InlineData("rename,renameat,renameat2", "EIO", "1+3", "spool")]
    [InlineData("open,openat", "EIO", "1+2", "spool")]
    [InlineData("write,writev,pwrite64,pwritev", "ENOSPC", "1+2", "maillog")]
    public async Task Failing_calls_lose_nothing_that_was_acknowledged(string calls, string error, string when, string place)
    {
        Assert.SkipUnless(File.Exists(AttachedStrace.Program), "strace is not installed");
        await using ServerInstance server = await ServerInstance.StartAsync(Settings);
        NumberedMail numbers = new(server, bodyBytes: 20_000);
        await numbers.UntilTakenAsync();
        await numbers.AllArriveAsync();
        AttachedStrace strace = await AttachedStrace.AttachAsync(
            server.ProcessId, ["-e", "trace=" + calls, "-e", $"inject={calls}:error={error}:when={when}", .. Only(server, place)]);
        await using (strace)
        {
            // Until some calls have failed, and some mail was tried after that.
            int after = 0;
            await numbers.LoadAsync(4, _ => Injected(strace.TracePath) >= 2 && ++after > 30);
        }

        string traced = await File.ReadAllTextAsync(strace.TracePath, TestContext.Current.CancellationToken);
        Assert.True(traced.Contains("(INJECTED)", StringComparison.Ordinal), server.Log);
        File.Delete(strace.TracePath);
        await numbers.UntilTakenAsync();
        await numbers.AllArriveAsync();

        // And all of it is still so after a start from the disk.
        await server.StopAsync();
        await server.StartAsync();
        await numbers.UntilTakenAsync();
        await numbers.AllArriveAsync();
        Assert.DoesNotContain("panic:", server.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_stood_still_goes_on_where_it_was()
    {
        await using ServerInstance server = await ServerInstance.StartAsync(Settings);
        NumberedMail numbers = new(server);
        for (int round = 1; round <= 3; round++)
        {
            int goal = numbers.Acknowledged + 30;
            int end = int.MaxValue;
            Task<IReadOnlyList<string>> load = numbers.LoadAsync(4, _ => numbers.Acknowledged >= Volatile.Read(ref end));
            await ServerInstance.UntilAsync(() => Task.FromResult(numbers.Acknowledged >= goal), () => server.Log);
            Assert.Equal(0, Kill(server.ProcessId, SigStop));
            await ServerInstance.UntilAsync(() => Task.FromResult(ProcessState.IsStopped(server.ProcessId)), () => "the process does not stop");
            int before = numbers.Acknowledged;
            await Task.Delay(200, TestContext.Current.CancellationToken);
            Assert.InRange(numbers.Acknowledged, before, before + 4);
            Volatile.Write(ref end, numbers.Acknowledged + 30);
            Assert.Equal(0, Kill(server.ProcessId, SigCont));
            Assert.Empty(await load);
        }

        await numbers.AllArriveAsync();
    }

    // The runtime opens and writes files of its own, and may end when that fails: only calls on the server's files are to fail.
    private static IEnumerable<string> Only(ServerInstance server, string place) => place switch
    {
        "spool" => Enumerable.Range(1, 200).SelectMany(number => new[]
        {
            "-P", string.Create(CultureInfo.InvariantCulture, $"{server.QueueDirectory}/spool/{number:D10}.log"),
            "-P", string.Create(CultureInfo.InvariantCulture, $"{server.QueueDirectory}/spool/free-{number}"),
        }),
        "maillog" => ["-P", Path.Combine(server.Root, "maillog")],
        _ => [],
    };

    private static int Injected(string trace)
    {
        using FileStream stream = new(trace, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using StreamReader reader = new(stream);
        int count = 0;
        while (reader.ReadLine() is { } line)
        {
            count += line.EndsWith("(INJECTED)", StringComparison.Ordinal) ? 1 : 0;
        }

        return count;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
