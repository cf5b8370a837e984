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
    public void Another_seed_gives_another_history() => Assert.NotEqual(SeedRun.Of(1, 1).Hash, SeedRun.Of(2, 1).Hash);
}
