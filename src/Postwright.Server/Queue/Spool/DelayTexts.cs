using System.Text;
using Postwright.Server.Deliver;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Keeps the reasons for which recipients wait within what a record may take. They are shortened, or left out, and nothing else
/// of the change is: it is worth more than they are.
/// </summary>
internal static class DelayTexts
{
    /// <summary>What a delay takes beside its texts: its recipient, and two lengths.</summary>
    private const int Overhead = 20;

    /// <summary>UTF-8 of one UTF-16 unit takes no more.</summary>
    private const int MostOfChar = 3;

    /// <summary>The same delays, with texts that take at most <paramref name="most"/> bytes; none if there is not even room for their codes.</summary>
    public static IReadOnlyList<RecipientDelay> Fit(IReadOnlyList<RecipientDelay> delays, long most)
    {
        if (delays.Count == 0 || Bound(delays) <= most)
        {
            return delays;
        }

        int share = (int)(Math.Max(0, most) / delays.Count) - Overhead;
        RecipientDelay[] cut = new RecipientDelay[delays.Count];
        for (int i = 0; i < cut.Length; i++)
        {
            int left = share - Encoding.UTF8.GetByteCount(delays[i].Dsn);
            if (left < 0)
            {
                return [];
            }

            cut[i] = delays[i] with { Reason = Cut(delays[i].Reason, left) };
        }

        return cut;
    }

    /// <summary>Bytes that these delays take at most.</summary>
    public static long Bound(IReadOnlyList<RecipientDelay> delays)
    {
        long bytes = (long)delays.Count * Overhead;
        for (int i = 0; i < delays.Count; i++)
        {
            bytes += Encoding.UTF8.GetByteCount(delays[i].Dsn) + Encoding.UTF8.GetByteCount(delays[i].Reason);
        }

        return bytes;
    }

    private static string Cut(string text, int bytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= bytes)
        {
            return text;
        }

        return BoundedText.Cut(text, Ascii.IsValid(text) ? bytes : bytes / MostOfChar);
    }
}
