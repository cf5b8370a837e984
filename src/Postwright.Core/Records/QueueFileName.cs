using System.Globalization;
using System.Text;

namespace Postwright.Core.Records;

/// <summary>
/// The name of a queue file, which is its queue ID: of the time at which it was made and its inode, so that no two
/// files of one file system have the same. Short: five hexadecimal digits of microseconds, then the inode. Long
/// (enable_long_queue_ids): seconds and microseconds to the base 52, <c>z</c>, the inode to the base 51.
/// </summary>
public static class QueueFileName
{
    /// <summary>Longer names are none of ours.</summary>
    public const int MaximumLength = 100;

    private const string Digits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

    /// <summary>The name of a file.</summary>
    public static string Of(DateTimeOffset time, ulong inode, bool longId)
    {
        long microseconds = time.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond;
        return longId
            ? Encode((ulong)time.ToUnixTimeSeconds(), 52, 6) + Encode((ulong)microseconds, 52, 4) + "z" + Encode(inode, 51, 0)
            : microseconds.ToString("X5", CultureInfo.InvariantCulture) + inode.ToString("X", CultureInfo.InvariantCulture);
    }

    /// <summary>Whether a text may be a queue ID: letters and digits only, so that it cannot lead elsewhere as a file name.</summary>
    public static bool IsValid(ReadOnlySpan<char> name)
    {
        if (name.IsEmpty || name.Length > MaximumLength)
        {
            return false;
        }

        foreach (char c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '_')
            {
                return false;
            }
        }

        return true;
    }

    private static string Encode(ulong value, uint radix, int width)
    {
        var digits = new StringBuilder();
        do
        {
            digits.Insert(0, Digits[(int)(value % radix)]);
            value /= radix;
        }
        while (value > 0);

        return digits.ToString().PadLeft(width, '0');
    }
}
