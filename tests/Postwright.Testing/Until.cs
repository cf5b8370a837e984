using System.Diagnostics;
using Microsoft.Extensions.Time.Testing;

namespace Postwright.Testing;

/// <summary>Waits for conditions, with a limit that a busy machine does not reach.</summary>
public static class Until
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    /// <summary>Waits until <paramref name="condition"/> holds.</summary>
    public static async Task True(Func<bool> condition, Func<string>? state = null)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!condition())
        {
            if (watch.Elapsed > Limit)
            {
                throw new TimeoutException("the condition did not come to hold: " + state?.Invoke());
            }

            await Task.Delay(2, TestContextToken);
        }
    }

    /// <summary>Advances <paramref name="time"/> in steps until <paramref name="condition"/> holds.</summary>
    public static Task True(FakeTimeProvider time, TimeSpan step, Func<bool> condition, Func<string>? state = null) => True(
        () =>
        {
            if (condition())
            {
                return true;
            }

            time.Advance(step);
            return false;
        },
        state);

    private static CancellationToken TestContextToken => CancellationToken.None;
}
