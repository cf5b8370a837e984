using System.Globalization;
using CsCheck;

namespace Postwright.Testing;

/// <summary>
/// Random inputs that are the same in every run and on every machine. POSTWRIGHT_SEED gives other ones; a failure names the
/// seed of its input, and comes again in the next run.
/// </summary>
public static class Samples
{
    private static readonly uint Run =
        uint.TryParse(Environment.GetEnvironmentVariable("POSTWRIGHT_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out uint seed) ? seed : 1;

    /// <summary>Tries a property on <paramref name="count"/> inputs.</summary>
    public static void Try<T>(this Gen<T> inputs, Action<T> property, int count)
    {
        // CsCheck takes a seed for the first input of a series only, so each input is a series of one.
        for (int i = 0; i < count; i++)
        {
            string seed = new PCG(Run, (ulong)i * 0x9E3779B97F4A7C15).ToString();
            inputs.Sample(property, seed: seed, iter: 1, threads: 1);
        }
    }

    /// <summary>The same for a property that is true or false.</summary>
    public static void Try<T>(this Gen<T> inputs, Func<T, bool> property, int count) => inputs.Try(
        input =>
        {
            if (!property(input))
            {
                throw new InvalidOperationException("the property does not hold");
            }
        },
        count);
}
