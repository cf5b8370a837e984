using Postwright.Core.Seams;

namespace Postwright.Testing;

/// <summary>Chance that is the same for the same seed.</summary>
public sealed class SeededChance(int seed) : IChance
{
    private readonly Random _random = new(seed);

    /// <inheritdoc />
    public void Fill(Span<byte> bytes) => _random.NextBytes(bytes);

    /// <inheritdoc />
    public int Next(int limit) => _random.Next(limit);
}
