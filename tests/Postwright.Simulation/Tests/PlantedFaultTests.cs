using Postwright.Simulation.World;

namespace Postwright.Simulation.Tests;

/// <summary>A ledger that finds nothing proves nothing: each planted fault must be found, and called what it is.</summary>
public sealed class PlantedFaultTests
{
    [Theory]
    [InlineData("DiskLies", "before its record was synced")]
    [InlineData("DiskLiesToEverybody", "was accepted and is lost")]
    [InlineData("MailboxDoubles", "twice, without a cause")]
    [InlineData("MailboxSwallows", "nobody knows")]
    [InlineData("MailboxLosesAByte", "the body differs")]
    [InlineData("MailboxHangs", "nothing is done for it")]
    [InlineData("MailboxEscapes", "ran on another thread")]
    [InlineData("MailboxMixesUp", "which is no recipient of it")]
    public void It_is_found(string planted, string found)
    {
        PlantedFault fault = Enum.Parse<PlantedFault>(planted);
        List<string> failures = [];
        for (ulong seed = 1; seed <= 60; seed++)
        {
            SeedRun run = SeedRun.Of(PlanMaker.Make(seed, TimeSpan.FromHours(1)), prepare: world => world.Planted = fault);
            if (run.Failure is { } failure)
            {
                failures.Add(failure.Message);
            }
        }

        Assert.Contains(failures, failure => failure.Contains(found, StringComparison.Ordinal));
        Assert.True(failures.Count >= 10, $"only {failures.Count} of 60 worlds found it");
    }

    [Fact]
    public void Without_one_nothing_is_found()
    {
        for (ulong seed = 1; seed <= 60; seed++)
        {
            Assert.Null(SeedRun.Of(seed, 1).Failure);
        }
    }

    [Fact]
    public void A_failing_plan_is_made_small_and_its_trace_can_be_read()
    {
        Plan plan = PlanMaker.Make(5, TimeSpan.FromHours(1));
        (Plan smallest, Exception failure) = Shrinker.Shrink(plan, static world => world.Planted = PlantedFault.MailboxDoubles);
        PlanItem left = Assert.Single(smallest.Items);
        Assert.Equal(PlanKind.Message, left.Kind);
        Assert.Contains("twice, without a cause", failure.Message, StringComparison.Ordinal);

        StringWriter trace = new();
        SeedRun.Of(smallest, trace, static world => world.Planted = PlantedFault.MailboxDoubles);
        Assert.Contains("(queue active)", trace.ToString(), StringComparison.Ordinal);
        Assert.Contains("ledger       delivered", trace.ToString(), StringComparison.Ordinal);
    }
}
