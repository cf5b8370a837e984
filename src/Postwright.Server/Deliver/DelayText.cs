namespace Postwright.Server.Deliver;

/// <summary>
/// The number format of <c>delay=</c> and <c>delays=</c>: two significant digits below a hundred seconds, whole seconds
/// above, never more digits after the point than delay_logging_resolution_limit (0 to 6), no trailing zeros.
/// </summary>
public static class DelayText
{
    private const int MicrosecondDigits = 6;

    private static readonly long[] PowersOfTen = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

    /// <summary>Appends <paramref name="delay"/>; a negative one (the clock was set back) counts as zero.</summary>
    /// <param name="text">Where to.</param>
    /// <param name="delay">Any length; microseconds are looked at.</param>
    /// <param name="significantDigits">2 in log lines.</param>
    /// <param name="maximalDecimals">0 to 6.</param>
    public static void Append(System.Text.StringBuilder text, TimeSpan delay, int significantDigits, int maximalDecimals)
    {
        long microseconds = Math.Max(0, delay.Ticks / TimeSpan.TicksPerMicrosecond);
        long rounded = Round(microseconds, Decimals(microseconds, significantDigits, maximalDecimals));
        text.Append(rounded / PowersOfTen[MicrosecondDigits]);
        long fraction = rounded % PowersOfTen[MicrosecondDigits];
        if (fraction == 0)
        {
            return;
        }

        text.Append('.');
        for (int digit = MicrosecondDigits - 1; fraction != 0; digit--)
        {
            text.Append((char)('0' + (fraction / PowersOfTen[digit])));
            fraction %= PowersOfTen[digit];
        }
    }

    /// <summary>How many digits after the point are left by both limits.</summary>
    private static int Decimals(long microseconds, int significantDigits, int maximalDecimals)
    {
        int digits = 0;
        for (long rest = microseconds; rest != 0; rest /= 10)
        {
            digits++;
        }

        // A number of n digits in microseconds has its first digit n - 6 places before the point (0 and less: behind it).
        int decimals = significantDigits - (digits - MicrosecondDigits);
        return Math.Clamp(decimals, 0, maximalDecimals);
    }

    private static long Round(long microseconds, int decimals)
    {
        long unit = PowersOfTen[MicrosecondDigits - decimals];
        return (microseconds + (unit / 2)) / unit * unit;
    }
}
