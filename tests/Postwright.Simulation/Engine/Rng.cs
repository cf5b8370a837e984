namespace Postwright.Simulation.Engine;

/// <summary>A stream of chance (SplitMix64) that is the same for the same seed on every machine and runtime.</summary>
internal sealed class Rng(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A stream of its own for one use, so that what one part draws does not move another part's draws.</summary>
    public static Rng Of(ulong seed, ulong stream) => new(Mix(seed + (stream * 0x9E3779B97F4A7C15ul) + 0x632BE59BD9B4E019ul));

    public ulong Next() => Mix(_state += 0x9E3779B97F4A7C15ul);

    /// <summary>From 0 up to, not including, <paramref name="limit"/>.</summary>
    public int Next(int limit) => limit <= 1 ? 0 : (int)(Next() % (ulong)limit);

    /// <summary>From <paramref name="low"/> up to and including <paramref name="high"/>.</summary>
    public int Between(int low, int high) => low + Next(high - low + 1);

    public long Between(long low, long high) => low + (long)(Next() % (ulong)(high - low + 1));

    /// <summary>True in so many cases of a hundred.</summary>
    public bool Percent(int percent) => Next(100) < percent;

    public T Pick<T>(IReadOnlyList<T> of) => of[Next(of.Count)];

    public void Fill(Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)Next();
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ul;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBul;
        return z ^ (z >> 31);
    }
}
