using System.Runtime.InteropServices;
using System.Text;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Reads what <see cref="RecordWriter"/> wrote. Never throws for bad bytes: the first that do not fit set
/// <see cref="Failed"/>, and everything read from then on is empty. Counts are bounded by the bytes that are left.
/// </summary>
internal ref struct RecordReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>True once something did not fit.</summary>
    public bool Failed { get; private set; }

    /// <summary>True when nothing is left to read, or reading failed.</summary>
    public readonly bool AtEnd => _rest.IsEmpty;

    public byte Byte()
    {
        if (_rest.IsEmpty)
        {
            return (byte)Fail();
        }

        byte value = _rest[0];
        _rest = _rest[1..];
        return value;
    }

    public bool Flag() => Byte() != 0;

    public ulong Number()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte b = Byte();
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80)
            {
                return Failed ? 0 : value;
            }
        }

        return (ulong)Fail();
    }

    /// <summary>A number that fits a signed type.</summary>
    public long Long() => Number() is var value && value <= long.MaxValue ? (long)value : Fail();

    /// <summary>A number of things, each at least a byte long.</summary>
    public int Count() => Number() is var value && value <= (ulong)_rest.Length ? (int)value : Fail();

    /// <summary>A position or small number.</summary>
    public int Small() => Number() is var value && value <= int.MaxValue ? (int)value : Fail();

    public ReadOnlySpan<byte> Bytes(int count)
    {
        if (count > _rest.Length)
        {
            Fail();
            return [];
        }

        ReadOnlySpan<byte> bytes = _rest[..count];
        _rest = _rest[count..];
        return bytes;
    }

    public string Text()
    {
        ulong head = Number();
        if (head >> 1 > (ulong)_rest.Length)
        {
            Fail();
            return "";
        }

        ReadOnlySpan<byte> bytes = Bytes((int)(head >> 1));
        return (head & 1) == 0 ? Encoding.UTF8.GetString(bytes) : new string(MemoryMarshal.Cast<byte, char>(bytes));
    }

    /// <summary>Passes over a string.</summary>
    public void SkipText()
    {
        ulong head = Number();
        if (head >> 1 > (ulong)_rest.Length)
        {
            Fail();
        }
        else
        {
            Bytes((int)(head >> 1));
        }
    }

    private int Fail()
    {
        Failed = true;
        _rest = [];
        return 0;
    }
}
