using System.Diagnostics;
using System.Globalization;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Server.Master;

namespace Postwright.Bench.EndToEnd;

/// <summary>
/// The whole mail system in this process, on the JIT, fed by <c>smtp-source</c> over the loopback: bytes allocated per message, exactly,
/// and by type, estimated. The code is the same as in the published programs, the runtime's own share may differ a little.
/// </summary>
internal static class Allocations
{
    public static async Task<int> RunAsync(string directory, int port, int messages)
    {
        MailConfiguration configuration = MailConfiguration.Load(directory);
        using MailLogDestination? log = MailLogDestination.Open(Daemon.LogOptions(configuration), TimeProvider.System, out string? error);
        if (log is null)
        {
            await Console.Error.WriteLineAsync(error);
            return 1;
        }

        using Daemon daemon = new(configuration, log, "master");
        using DaemonSignals signals = new();
        InheritedDescriptors inherited = InheritedDescriptors.Take();
        TaskCompletionSource ready = new();
        Task<int> server = SingleProcess.RunAsync(daemon, signals, inherited, () => null, ready.SetResult);
        if (await Task.WhenAny(server, ready.Task) == server)
        {
            return 1;
        }

        bool measured = await MeasureAsync(port, messages, configuration.GetString("maillog_file"), log);
        signals.Raise(15);
        return await server == 0 && measured ? 0 : 1;
    }

    private static async Task<bool> MeasureAsync(int port, int messages, string file, MailLogDestination log)
    {
        // Everything is compiled, pooled and grown before anything is counted.
        if (!await SendAsync(port, messages / 2) || !await RemovedAsync(file, log, messages / 2))
        {
            return false;
        }

        long before = GC.GetTotalAllocatedBytes(precise: true);
        int collections = GC.CollectionCount(0);
        if (!await SendAsync(port, messages) || !await RemovedAsync(file, log, messages + (messages / 2)))
        {
            return false;
        }

        double bytes = GC.GetTotalAllocatedBytes(precise: true) - before;
        collections = GC.CollectionCount(0) - collections;
        using AllocationSamples samples = new();
        samples.Start();
        bool sampled = await SendAsync(port, messages) && await RemovedAsync(file, log, (2 * messages) + (messages / 2));
        samples.Stop();
        double objects = samples.Types.Sum(t => t.Value.Objects);
        Print($"allocated {bytes / messages:F0} bytes a message (exact), about {objects / messages:F0} objects (sampled); {collections} collections in {messages} messages");
        foreach ((string type, (double count, double size)) in samples.Types.OrderByDescending(t => t.Value.Bytes).Take(25))
        {
            Print($"  {size / messages,7:F0} bytes {count / messages,6:F2} objects a message  {type}");
        }

        return sampled;
    }

    private static async Task<bool> SendAsync(int port, int messages)
    {
        string[] arguments = ["-d", "-s", "100", "-m", Text(messages), "-l", "1000", "-f", "from@example.org", "-t", "to@example.net", $"127.0.0.1:{Text(port)}"];
        using Process source = Process.Start("smtp-source", arguments);
        await source.WaitForExitAsync();
        return source.ExitCode == 0;
    }

    // Once everything is logged as removed: the lines are counted after the wait, since reading allocates too.
    private static async Task<bool> RemovedAsync(string file, MailLogDestination log, int messages)
    {
        using Process wait = Process.Start(
            "timeout", ["60", "sh", "-c", $"until [ \"$(grep -c ': removed$' '{file}')\" -ge {Text(messages)} ]; do sleep 0.2; done"]);
        await wait.WaitForExitAsync();
        log.Flush();
        return wait.ExitCode == 0;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Print(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
