using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;
using Postwright.Bench.EndToEnd;

namespace Postwright.Bench;

/// <summary>
/// <c>micro [NAME...]</c> measures the parsers, the spool and the scheduler, with what they allocate; <c>allocations CONFIG-DIR
/// PORT MESSAGES</c> runs the whole mail system in this process and counts what a message allocates.
/// </summary>
public static class Program
{
    private static readonly Type[] Benchmarks =
        [typeof(ParserBenchmarks), typeof(HeaderBenchmarks), typeof(RecordBenchmarks), typeof(SchedulerBenchmarks), typeof(SpoolBenchmarks)];

    public static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["micro", .. var names]:
                return Micro(names);
            case ["allocations", var directory, var port, var messages] when int.TryParse(port, out int number) && int.TryParse(messages, out int count):
                return await Allocations.RunAsync(directory, number, count);
            default:
                await Console.Error.WriteLineAsync("usage: Postwright.Bench micro [NAME...] | allocations CONFIG-DIR PORT MESSAGES");
                return 64;
        }
    }

    // In this process, without a project built for each: the numbers are those of the JIT's last tier, the allocations exact.
    private static int Micro(string[] names)
    {
        DirectoryInfo artifacts = Directory.CreateTempSubdirectory("postwright-bench-");
        IConfig config = ManualConfig.CreateEmpty()
            .AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithGcConcurrent(true)
                .WithWarmupCount(3).WithIterationCount(7).WithIterationTime(TimeInterval.FromMilliseconds(200)))
            .AddColumnProvider(DefaultColumnProviders.Descriptor, DefaultColumnProviders.Params, DefaultColumnProviders.Statistics, DefaultColumnProviders.Metrics)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddLogger(NullLogger.Instance)
            .WithOption(ConfigOptions.DisableLogFile, true)
            .WithArtifactsPath(artifacts.FullName);
        int failed = 0;
        foreach (Type type in Benchmarks.Where(t => names.Length == 0 || names.Any(n => t.Name.StartsWith(n, StringComparison.OrdinalIgnoreCase))))
        {
            Summary summary = BenchmarkRunner.Run(type, config);
            MarkdownExporter.Console.ExportToLog(summary, ConsoleLogger.Default);
            failed += summary.HasCriticalValidationErrors || summary.Reports.Any(r => !r.Success) ? 1 : 0;
        }

        artifacts.Delete(recursive: true);
        if (failed > 0)
        {
            Console.Error.WriteLine($"{failed} benchmark classes failed");
        }

        return failed == 0 ? 0 : 1;
    }
}
