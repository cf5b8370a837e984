using System.Buffers.Binary;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Postwright.Server.Queue.Spool;

/// <summary>CRC-32C (Castagnoli) by the processor's instruction, or by a table where it has none.</summary>
internal static class Crc32C
{
    private static readonly uint[] Table = MakeTable();

    /// <summary>The checksum of <paramref name="bytes"/> alone.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => ~Append(~0u, bytes);

    /// <summary>Moves a running register over more bytes; begin with all ones, and invert at the end.</summary>
    public static uint Append(uint register, ReadOnlySpan<byte> bytes)
    {
        if (Sse42.X64.IsSupported)
        {
            ulong wide = register;
            for (; bytes.Length >= 8; bytes = bytes[8..])
            {
                wide = Sse42.X64.Crc32(wide, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            }

            register = (uint)wide;
            foreach (byte b in bytes)
            {
                register = Sse42.Crc32(register, b);
            }

            return register;
        }

        if (Crc32.Arm64.IsSupported)
        {
            for (; bytes.Length >= 8; bytes = bytes[8..])
            {
                register = Crc32.Arm64.ComputeCrc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            }

            foreach (byte b in bytes)
            {
                register = Crc32.ComputeCrc32C(register, b);
            }

            return register;
        }

        return AppendByTable(register, bytes);
    }

    /// <summary>The same without the processor's help.</summary>
    internal static uint AppendByTable(uint register, ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes)
        {
            register = Table[(byte)(register ^ b)] ^ (register >> 8);
        }

        return register;
    }

    private static uint[] MakeTable()
    {
        const uint Polynomial = 0x82f63b78;
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            uint value = i;
            for (int bit = 0; bit < 8; bit++)
            {
                value = (value & 1) != 0 ? (value >> 1) ^ Polynomial : value >> 1;
            }

            table[i] = value;
        }

        return table;
    }
}
