using System.Diagnostics;
using System.Globalization;

namespace Postwright.Testing;

/// <summary>
/// How far a fuzz target goes. In the suite it tries a fixed number of inputs (about ten seconds' worth), so that every
/// machine tries the same; POSTWRIGHT_FUZZ_SECONDS makes each target go on from there for so long. Inputs come from seeds that
/// count up, so that a failing one can be named and tried again.
/// </summary>
/// <param name="count">Inputs in the suite.</param>
public sealed class FuzzTime(int count)
{
    private static readonly TimeSpan More = TimeSpan.FromSeconds(
        double.TryParse(Environment.GetEnvironmentVariable("POSTWRIGHT_FUZZ_SECONDS"), NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) ? seconds : 0);

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>True if the input of this number, from 1, is to be tried.</summary>
    public bool Includes(int number) => number <= count || _watch.Elapsed < More;
}
