using Postwright.Simulation.World;

namespace Postwright.Simulation;

/// <summary>What came of one world.</summary>
/// <param name="Seed">Its seed.</param>
/// <param name="Hash">The hash of its history.</param>
/// <param name="Steps">The steps that it took.</param>
/// <param name="Failure">The promise that was broken; null if none was.</param>
/// <param name="Counts">How often each fault and each outcome was seen.</param>
internal sealed record SeedRun(ulong Seed, ulong Hash, long Steps, Exception? Failure, IReadOnlyDictionary<string, int> Counts)
{
    /// <summary>Runs a seed's plan.</summary>
    public static SeedRun Of(ulong seed, double hours, TextWriter? trace = null) => Of(PlanMaker.Make(seed, TimeSpan.FromHours(hours)), trace);

    /// <summary>Runs a plan on the calling thread.</summary>
    /// <param name="plan">What happens.</param>
    /// <param name="trace">Where everything is told, or null.</param>
    /// <param name="prepare">What a test changes in the world before it begins.</param>
    public static SeedRun Of(Plan plan, TextWriter? trace = null, Action<SimWorld>? prepare = null)
    {
        SimWorld world = new(plan, trace);
        prepare?.Invoke(world);
        Exception? failure = null;
        try
        {
            world.Run();
        }
        catch (Exception thrown)
        {
            failure = world.Broken ?? thrown;
        }

        SortedDictionary<string, int> counts = new(StringComparer.Ordinal);
        foreach ((string name, int count) in world.Counts.Concat(world.Ledger.Outcomes))
        {
            counts[name] = count;
        }

        return new SeedRun(plan.Seed, world.History.Hash, world.Scheduler.Steps, failure, counts);
    }
}
