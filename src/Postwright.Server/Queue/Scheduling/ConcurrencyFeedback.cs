using System.Globalization;

namespace Postwright.Server.Queue.Scheduling;

/// <summary>
/// How much one delivery's outcome counts towards a destination's concurrency: <c>number</c>, <c>number/number</c>,
/// <c>number/concurrency</c> or <c>number/sqrt_concurrency</c> (SCHEDULER_README).
/// </summary>
public sealed class ConcurrencyFeedback
{
    private readonly double _value;
    private readonly Func<int, double> _divisor;

    private ConcurrencyFeedback(double value, Func<int, double> divisor)
    {
        _value = value;
        _divisor = divisor;
    }

    /// <summary>Feedback 1.</summary>
    public static ConcurrencyFeedback One { get; } = new(1, static _ => 1);

    /// <summary>The amount at a concurrency of <paramref name="window"/>, between 0 and 1.</summary>
    public double At(int window) => _value / _divisor(Math.Max(1, window));

    /// <summary>Reads a parameter's value; false if it is none of the four forms, or not between 0 and 1.</summary>
    public static bool TryParse(string text, out ConcurrencyFeedback feedback)
    {
        feedback = One;
        string[] parts = text.Split('/', 2, StringSplitOptions.TrimEntries);
        if (!TryNumber(parts[0], out double value))
        {
            return false;
        }

        Func<int, double>? divisor = parts.Length == 1 ? static _ => 1 : Divisor(parts[1]);
        if (divisor is null || value / divisor(1) is < 0 or > 1)
        {
            return false;
        }

        feedback = new ConcurrencyFeedback(value, divisor);
        return true;
    }

    private static Func<int, double>? Divisor(string text) => text switch
    {
        "concurrency" => static window => window,
        "sqrt_concurrency" => static window => Math.Sqrt(window),
        _ => TryNumber(text, out double number) && number > 0 ? _ => number : null,
    };

    private static bool TryNumber(string text, out double number) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number);
}
