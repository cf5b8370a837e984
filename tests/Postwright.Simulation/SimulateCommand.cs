using System.Diagnostics;
using System.Globalization;
using Postwright.Simulation.World;

namespace Postwright.Simulation;

/// <summary>The command line of the simulator: see README.md beside the project.</summary>
internal static class SimulateCommand
{
    private const int WrongUsage = 64;

    public static int Run(string[] args)
    {
        if (SimulateOptions.Parse(args) is not { } options)
        {
            Console.Error.WriteLine(SimulateOptions.Usage);
            return WrongUsage;
        }

        return options.Seeds == 1 ? RunOne(options) : RunMany(options);
    }

    private static int RunOne(SimulateOptions options)
    {
        Plan plan = PlanMaker.Make(options.First, TimeSpan.FromHours(options.Hours));
        if (options.Trace)
        {
            Console.WriteLine($"plan of seed {plan.Seed}, configuration {plan.Variant}:\n{string.Join('\n', plan.Items.OrderBy(static item => item.At))}");
        }

        using StreamWriter output = new(Console.OpenStandardOutput(), bufferSize: 1 << 16);
        SeedRun run = SeedRun.Of(plan, options.Trace ? output : null);
        output.Flush();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seed {run.Seed}: hash {run.Hash:x16}, {run.Steps} steps"));
        Print(run.Counts);
        if (run.Failure is null)
        {
            return 0;
        }

        Console.WriteLine($"seed {run.Seed} FAILED: {(options.Trace ? run.Failure : run.Failure.Message)}");
        if (options.Shrink)
        {
            Shrink(plan);
        }

        return 1;
    }

    private static int RunMany(SimulateOptions options)
    {
        SortedDictionary<string, int> counts = new(StringComparer.Ordinal);
        List<SeedRun> failed = [];
        long steps = 0;
        int done = 0;
        Stopwatch watch = Stopwatch.StartNew();
        SeedRunner.Run(options.First, options.Seeds, options.Hours, options.Jobs, run =>
        {
            done++;
            steps += run.Steps;
            foreach ((string name, int count) in run.Counts)
            {
                counts[name] = counts.GetValueOrDefault(name) + count;
            }

            if (options.Hashes)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"hash {run.Seed} {run.Hash:x16}"));
            }

            if (run.Failure is { } failure)
            {
                failed.Add(run);
                Console.WriteLine($"seed {run.Seed} FAILED: {failure.Message}");
            }

            if (done % 500 == 0)
            {
                Console.WriteLine(Progress(done, steps, failed.Count, watch.Elapsed));
            }

            return run.Failure is null || !options.StopAtFirstFailure;
        });

        Print(counts);
        Console.WriteLine(Progress(done, steps, failed.Count, watch.Elapsed));
        foreach (SeedRun run in failed.Take(options.Shrink ? 5 : 0))
        {
            Shrink(PlanMaker.Make(run.Seed, TimeSpan.FromHours(options.Hours)));
        }

        return failed.Count == 0 ? 0 : 1;
    }

    private static string Progress(int done, long steps, int failed, TimeSpan elapsed) => string.Create(
        CultureInfo.InvariantCulture,
        $"{done} seeds, {failed} failed, {elapsed.TotalSeconds:F1} s, {done / elapsed.TotalSeconds:F0} seeds a second, {steps / elapsed.TotalSeconds:F0} steps a second");

    private static void Shrink(Plan plan)
    {
        Console.WriteLine($"shrinking seed {plan.Seed} ({plan.Items.Count} items) ...");
        (Plan smallest, Exception failure) = Shrinker.Shrink(plan);
        Console.WriteLine($"seed {plan.Seed} still fails with {smallest.Items.Count} items, configuration {smallest.Variant}:");
        Console.WriteLine(string.Join('\n', smallest.Items.OrderBy(static item => item.At)));
        Console.WriteLine($"with: {failure.Message}");
    }

    private static void Print(IReadOnlyDictionary<string, int> counts)
    {
        foreach ((string name, int count) in counts)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count,10}  {name}"));
        }
    }
}
