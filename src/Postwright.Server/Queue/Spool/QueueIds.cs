using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Makes queue IDs that look like Postfix's: five hexadecimal digits of microseconds and a number in hexadecimal, or with
/// enable_long_queue_ids seconds and microseconds in base 52, a <c>z</c>, and the number in base 51. The number stands
/// where Postfix has the inode; it counts up from a random start, so no two are equal within a run.
/// </summary>
internal sealed class QueueIds(bool longIds, TimeProvider time, IChance chance)
{
    private const string Alphabet = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    private const long FirstNumber = 0x10000;
    private long _number = FirstNumber + chance.Next(0xf0000 - (int)FirstNumber);

    /// <summary>True for what can be a queue ID: Postfix's and ours are digits and letters.</summary>
    public static bool IsValid(ReadOnlySpan<char> id)
    {
        if (id.Length is 0 or > SegmentFormat.MostIdLength)
        {
            return false;
        }

        foreach (char c in id)
        {
            if (!char.IsAsciiLetterOrDigit(c))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The next ID.</summary>
    public string Next()
    {
        long number = Interlocked.Increment(ref _number);
        DateTimeOffset now = time.GetUtcNow();
        int microseconds = (int)(now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond);
        if (!longIds)
        {
            return $"{microseconds:X5}{number:X5}";
        }

        Span<char> buffer = stackalloc char[SegmentFormat.MostIdLength];
        int end = buffer.Length;
        end = Write(buffer, end, number, 51, 1);
        buffer[--end] = 'z';
        end = Write(buffer, end, microseconds, 52, 4);
        end = Write(buffer, end, now.ToUnixTimeSeconds(), 52, 6);
        return new string(buffer[end..]);
    }

    private static int Write(Span<char> buffer, int end, long value, int radix, int atLeast)
    {
        for (int digits = 0; value > 0 || digits < atLeast; digits++)
        {
            buffer[--end] = Alphabet[(int)(value % radix)];
            value /= radix;
        }

        return end;
    }
}
