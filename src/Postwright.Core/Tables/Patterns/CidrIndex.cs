using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Postwright.Core.Tables.Patterns;

// Blocks that contain an address have one of the lengths that the rules use, and the address's own bits as their network: a
// look into a hash table for each length finds them all, however many rules there are. Of those, the first rule counts. For
// runs of plain rules only: "!" and IF say something about addresses outside their block.

/// <summary>The first of many rules "net/mask result" whose block contains an address.</summary>
internal sealed class CidrIndex
{
    private readonly Dictionary<(UInt128 Net, int Bits), int> _four = [];
    private readonly Dictionary<(UInt128 Net, int Bits), int> _six = [];
    private readonly int[] _fourLengths;
    private readonly int[] _sixLengths;

    /// <summary>An index of <paramref name="patterns"/> in their order.</summary>
    public CidrIndex(IReadOnlyList<AddressPattern> patterns)
    {
        for (int i = 0; i < patterns.Count; i++)
        {
            ReadOnlySpan<byte> net = patterns[i].Net;
            (net.Length == 4 ? _four : _six).TryAdd((Number(net), patterns[i].Bits), i);
        }

        _fourLengths = [.. _four.Keys.Select(key => key.Bits).Distinct()];
        _sixLengths = [.. _six.Keys.Select(key => key.Bits).Distinct()];
    }

    /// <summary>The first rule's number, or -1.</summary>
    public int Find(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out int length))
        {
            return -1;
        }

        UInt128 number = Number(bytes[..length]);
        bool isFour = address.AddressFamily == AddressFamily.InterNetwork;
        Dictionary<(UInt128 Net, int Bits), int> blocks = isFour ? _four : _six;
        int first = int.MaxValue;
        foreach (int bits in isFour ? _fourLengths : _sixLengths)
        {
            UInt128 net = bits == 0 ? 0 : number & (UInt128.MaxValue << (128 - bits));
            if (blocks.TryGetValue((net, bits), out int rule))
            {
                first = Math.Min(first, rule);
            }
        }

        return first == int.MaxValue ? -1 : first;
    }

    /// <summary>An address as a number whose first bits are the address's.</summary>
    private static UInt128 Number(ReadOnlySpan<byte> bytes) => bytes.Length == 4
        ? (UInt128)BinaryPrimitives.ReadUInt32BigEndian(bytes) << 96
        : BinaryPrimitives.ReadUInt128BigEndian(bytes);
}
