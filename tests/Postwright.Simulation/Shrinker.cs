using Postwright.Simulation.World;

namespace Postwright.Simulation;

/// <summary>Makes a failing plan small: leaves items out, many at once first, as long as it still fails.</summary>
internal static class Shrinker
{
    // Each try is a world; a plan has some tens of items, so this is seldom reached.
    private const int MostTries = 400;

    /// <summary>The smallest plan found, and how it fails.</summary>
    /// <param name="plan">A plan that fails.</param>
    /// <param name="prepare">What a test changes in each world before it begins.</param>
    public static (Plan Plan, Exception Failure) Shrink(Plan plan, Action<SimWorld>? prepare = null)
    {
        Exception failure = SeedRun.Of(plan, prepare: prepare).Failure ?? throw new ArgumentException("the plan does not fail", nameof(plan));
        int tries = 0;
        for (int size = Math.Max(1, plan.Items.Count / 2); size >= 1 && tries < MostTries;)
        {
            bool smaller = false;
            for (int start = 0; start < plan.Items.Count && tries < MostTries;)
            {
                HashSet<int> left = [.. plan.Items.Skip(start).Take(size).Select(static item => item.Id)];
                Plan candidate = plan.Without(left);
                tries++;
                if (SeedRun.Of(candidate, prepare: prepare).Failure is { } still)
                {
                    (plan, failure, smaller) = (candidate, still, true);
                }
                else
                {
                    start += size;
                }
            }

            size = smaller && size == 1 ? 1 : size / 2;
        }

        return (plan, failure);
    }
}
