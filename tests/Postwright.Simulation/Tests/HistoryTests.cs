using System.Diagnostics;
using System.Globalization;

namespace Postwright.Simulation.Tests;

/// <summary>One seed is one history.</summary>
public sealed class HistoryTests
{
    [Fact]
    public void A_seed_run_twice_gives_the_same_history()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            SeedRun first = SeedRun.Of(seed, 1);
            SeedRun second = SeedRun.Of(seed, 1);
            Assert.Equal((first.Hash, first.Steps, first.Failure?.Message), (second.Hash, second.Steps, second.Failure?.Message));
            Assert.True(first.Steps > 50, $"seed {seed} did only {first.Steps} steps");
        }
    }

    [Fact]
    public void A_seed_gives_the_same_history_in_another_process()
    {
        List<string> here = [];
        SeedRunner.Run(1, 12, 1, 1, run =>
        {
            here.Add(string.Create(CultureInfo.InvariantCulture, $"hash {run.Seed} {run.Hash:x16}"));
            return true;
        });

        using Process other = Process.Start(new ProcessStartInfo(
            Environment.ProcessPath!, ["exec", typeof(HistoryTests).Assembly.Location, "simulate", "--seeds", "12", "--hours", "1", "--jobs", "1", "--hashes"])
        {
            RedirectStandardOutput = true,
        })!;
        string[] there = [.. other.StandardOutput.ReadToEnd().Split('\n').Where(static line => line.StartsWith("hash ", StringComparison.Ordinal))];
        other.WaitForExit();
        Assert.Equal(0, other.ExitCode);
        Assert.Equal(here, there);
    }

    [Fact]
    public void Another_seed_gives_another_history() => Assert.NotEqual(SeedRun.Of(1, 1).Hash, SeedRun.Of(2, 1).Hash);
}
