using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Writes a record's body into a pooled buffer: numbers as base-128, strings as UTF-8 with their length in front. A string
/// that UTF-8 cannot carry (a lone surrogate) goes as UTF-16, so that what is read back is always what was written.
/// </summary>
internal sealed class RecordWriter : IDisposable
{
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(512);

    /// <summary>Bytes so far.</summary>
    public int Length { get; private set; }

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    /// <summary>Starts anew.</summary>
    public void Clear() => Length = 0;

    /// <summary>Gives the buffer away, to be returned to the shared pool by the taker, and starts anew.</summary>
    public byte[] Detach(out int length)
    {
        byte[] buffer = _buffer;
        length = Length;
        _buffer = ArrayPool<byte>.Shared.Rent(512);
        Length = 0;
        return buffer;
    }

    public void Byte(byte value)
    {
        Reserve(1);
        _buffer[Length++] = value;
    }

    public void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    public void Number(ulong value)
    {
        Reserve(10);
        while (value >= 0x80)
        {
            _buffer[Length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _buffer[Length++] = (byte)value;
    }

    public void Number(long value) => Number(checked((ulong)value));

    public void Bytes(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(_buffer.AsSpan(Length));
        Length += bytes.Length;
    }

    public void Text(string value)
    {
        int count = Encoding.UTF8.GetMaxByteCount(value.Length);
        Reserve(count + 10);
        if (!HasLoneSurrogate(value))
        {
            Number((ulong)Encoding.UTF8.GetByteCount(value) << 1);
            Length += Encoding.UTF8.GetBytes(value, _buffer.AsSpan(Length));
        }
        else
        {
            Number(((ulong)value.Length * 2 << 1) | 1);
            Bytes(MemoryMarshal.AsBytes(value.AsSpan()));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        byte[] buffer = _buffer;
        _buffer = [];
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool HasLoneSurrogate(string value)
    {
        for (int i = 0; i < value.Length; i++)
        {
            if (char.IsSurrogate(value[i]))
            {
                if (i + 1 >= value.Length || !char.IsSurrogatePair(value[i], value[i + 1]))
                {
                    return true;
                }

                i++;
            }
        }

        return false;
    }

    private void Reserve(int count)
    {
        if (_buffer.Length - Length < count)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, Length + count));
            Written.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
    }
}
