namespace Postwright.Core.Records;

/// <summary>What a look at bytes gave.</summary>
public enum RecordStatus
{
    /// <summary>A whole record.</summary>
    Parsed,

    /// <summary>The bytes end inside a record (or are none).</summary>
    NeedMore,

    /// <summary>No record can begin like this: a length of more than 31 bits, or above the caller's limit.</summary>
    Invalid,
}

/// <summary>
/// The frame of a record: a type byte, the length in groups of seven bits with the lowest first (the high bit says that
/// another follows), the data. Pure; nothing is read beyond the span, and a length is believed only within the limit.
/// </summary>
public static class RecordParser
{
    /// <summary>The longest frame before the data: a type and five groups.</summary>
    public const int MaximumHeader = 6;

    /// <summary>Looks for a record at the head of <paramref name="bytes"/>.</summary>
    /// <param name="bytes">What there is.</param>
    /// <param name="maximumLength">The longest data that is accepted, in bytes; 0 for any.</param>
    /// <param name="type">The record's type.</param>
    /// <param name="header">Bytes before the data.</param>
    /// <param name="length">Bytes of data. Known (above 0 or not) as soon as the header is whole, also when more bytes are needed.</param>
    public static RecordStatus TryRead(ReadOnlySpan<byte> bytes, int maximumLength, out byte type, out int header, out int length)
    {
        type = bytes.IsEmpty ? (byte)0 : bytes[0];
        header = 0;
        length = 0;
        long value = 0;
        for (int i = 1; i < MaximumHeader; i++)
        {
            if (i >= bytes.Length)
            {
                return RecordStatus.NeedMore;
            }

            value |= (long)(bytes[i] & 0x7f) << (7 * (i - 1));
            if (bytes[i] < 0x80)
            {
                if (value > int.MaxValue - MaximumHeader || (maximumLength > 0 && value > maximumLength))
                {
                    return RecordStatus.Invalid;
                }

                header = i + 1;
                length = (int)value;
                return bytes.Length - header >= length ? RecordStatus.Parsed : RecordStatus.NeedMore;
            }
        }

        return RecordStatus.Invalid;
    }

    /// <summary>Writes the frame of a record with <paramref name="length"/> bytes of data.</summary>
    /// <returns>Bytes written, at most <see cref="MaximumHeader"/>.</returns>
    public static int WriteHeader(Span<byte> into, byte type, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        into[0] = type;
        int at = 1;
        uint rest = (uint)length;
        for (; rest >= 0x80; rest >>= 7)
        {
            into[at++] = (byte)(rest | 0x80);
        }

        into[at++] = (byte)rest;
        return at;
    }
}
