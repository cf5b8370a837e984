using System.Buffers.Binary;

namespace Postwright.Core.Tables.Patterns;

// Which rules of a large table need to be tried on a text: those whose pattern requires four bytes in a row that the text
// has, and those of which nothing is known. Of a pattern's required text the four bytes that the fewest rules share are taken.
// Letters are compared without case, so that a rule is tried too often rather than not.

/// <summary>Chooses the rules to try.</summary>
internal sealed class RuleIndex
{
    private const int Length = 4;

    private readonly Dictionary<uint, int> _lists = [];
    private readonly List<List<int>> _rules = [];
    private readonly ulong[] _always;

    /// <summary>An index of rules, given what each one's match must contain (empty when nothing is known).</summary>
    public RuleIndex(IReadOnlyList<byte[]> literals)
    {
        var counts = new Dictionary<uint, int>();
        foreach (byte[] literal in literals)
        {
            for (int i = 0; i + Length <= literal.Length; i++)
            {
                uint key = BinaryPrimitives.ReadUInt32LittleEndian(literal.AsSpan(i));
                counts[key] = counts.GetValueOrDefault(key) + 1;
            }
        }

        _always = new ulong[(literals.Count + 63) / 64];
        for (int rule = 0; rule < literals.Count; rule++)
        {
            byte[] literal = literals[rule];
            if (literal.Length < Length)
            {
                Set(_always, rule);
                continue;
            }

            uint rarest = BinaryPrimitives.ReadUInt32LittleEndian(literal);
            for (int i = 1; i + Length <= literal.Length; i++)
            {
                uint key = BinaryPrimitives.ReadUInt32LittleEndian(literal.AsSpan(i));
                rarest = counts[key] < counts[rarest] ? key : rarest;
            }

            if (!_lists.TryGetValue(rarest, out int list))
            {
                list = _rules.Count;
                _lists.Add(rarest, list);
                _rules.Add([]);
            }

            _rules[list].Add(rule);
        }
    }

    /// <summary>The rules to try on <paramref name="subject"/>: a bit for each.</summary>
    public ulong[] Candidates(ReadOnlySpan<byte> subject)
    {
        ulong[] candidates = [.. _always];
        ulong[] seen = new ulong[(_rules.Count + 63) / 64];
        uint four = 0;
        for (int i = 0; i < subject.Length; i++)
        {
            // Each list is taken once, however often a text repeats itself.
            byte b = subject[i] is >= (byte)'A' and <= (byte)'Z' ? (byte)(subject[i] | 0x20) : subject[i];
            four = (four >> 8) | ((uint)b << 24);
            if (i + 1 >= Length && _lists.TryGetValue(four, out int list) && Set(seen, list))
            {
                foreach (int rule in _rules[list])
                {
                    Set(candidates, rule);
                }
            }
        }

        return candidates;
    }

    /// <summary>The first candidate from <paramref name="from"/> on, or -1.</summary>
    public static int Next(ulong[] candidates, int from)
    {
        for (int word = from / 64; word < candidates.Length; word++)
        {
            ulong bits = word == from / 64 ? candidates[word] >> (from % 64) << (from % 64) : candidates[word];
            if (bits != 0)
            {
                return (word * 64) + System.Numerics.BitOperations.TrailingZeroCount(bits);
            }
        }

        return -1;
    }

    private static bool Set(ulong[] bits, int index)
    {
        ulong bit = 1UL << (index % 64);
        bool isNew = (bits[index / 64] & bit) == 0;
        bits[index / 64] |= bit;
        return isNew;
    }
}
