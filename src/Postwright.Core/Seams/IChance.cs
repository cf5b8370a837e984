namespace Postwright.Core.Seams;

/// <summary>The source of everything random: salts, boundaries, the order of equal mail exchangers.</summary>
public interface IChance
{
    /// <summary>Fills <paramref name="bytes"/> with random bytes.</summary>
    void Fill(Span<byte> bytes);

    /// <summary>A number from 0 up to, not including, <paramref name="limit"/>.</summary>
    int Next(int limit);
}

#pragma warning disable RS0030 // Real chance.

/// <summary>Chance from the operating system.</summary>
public sealed class SystemChance : IChance
{
    /// <inheritdoc />
    public void Fill(Span<byte> bytes) => System.Security.Cryptography.RandomNumberGenerator.Fill(bytes);

    /// <inheritdoc />
    public int Next(int limit) => System.Security.Cryptography.RandomNumberGenerator.GetInt32(limit);
}
