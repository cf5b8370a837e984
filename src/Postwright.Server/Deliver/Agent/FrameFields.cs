using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Postwright.Server.Deliver.Agent;

/// <summary>Writes a frame's fields: numbers big-endian, texts and bytes behind their length.</summary>
internal sealed class FrameWriter
{
    private readonly ArrayBufferWriter<byte> _bytes = new(1024);

    public void Byte(byte value) => _bytes.Write([value]);

    public void Number(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(_bytes.GetSpan(4), value);
        _bytes.Advance(4);
    }

    public void Long(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(_bytes.GetSpan(8), value);
        _bytes.Advance(8);
    }

    public void Bytes(ReadOnlySpan<byte> value)
    {
        Number(value.Length);
        _bytes.Write(value);
    }

    public void Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();
}

/// <summary>
/// Reads a frame's fields, each length checked against what is there; anything wrong is an <see cref="InvalidDataException"/>.
/// </summary>
internal struct FrameReader(ReadOnlyMemory<byte> rest)
{
    private ReadOnlyMemory<byte> _rest = rest;

    public readonly bool IsAtEnd => _rest.IsEmpty;

    public readonly void Check(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidDataException($"malformed frame: {what}");
        }
    }

    public byte Byte() => Take(1).Span[0];

    public int Number() => BinaryPrimitives.ReadInt32BigEndian(Take(4).Span);

    public long Long() => BinaryPrimitives.ReadInt64BigEndian(Take(8).Span);

    public int Count(int limit)
    {
        int count = Number();

        // Every element has at least one byte.
        Check(count >= 0 && count <= limit && count <= _rest.Length, "count");
        return count;
    }

    public ReadOnlyMemory<byte> Bytes() => Take(Number());

    public string Text() => Encoding.UTF8.GetString(Bytes().Span);

    private ReadOnlyMemory<byte> Take(int count)
    {
        Check(count >= 0 && count <= _rest.Length, "length");
        ReadOnlyMemory<byte> taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
