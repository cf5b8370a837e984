using System.Buffers;
using Postwright.Core.Records;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// Cuts a stream into records at each LF: a whole line is a <see cref="RecordType.Line"/>; a part of one that is longer than the limit, or
/// the rest at the end of the stream without an LF, is <see cref="RecordType.Continued"/>. What is read is valid until the next read.
/// </summary>
internal sealed class InputLines(Stream input, int limit)
{
    private readonly byte[] _buffer = new byte[16 << 10];
    private readonly ArrayBufferWriter<byte> _line = new(256);
    private int _at;
    private int _end;

    /// <summary>The line without its LF.</summary>
    public ReadOnlySpan<byte> Text => _line.WrittenSpan;

    /// <summary>Reads on.</summary>
    /// <returns>The record type, or 0 at the end.</returns>
    public byte Read()
    {
        _line.ResetWrittenCount();
        while (true)
        {
            if (_at == _end)
            {
                _at = 0;
                _end = input.Read(_buffer);
                if (_end == 0)
                {
                    return _line.WrittenCount > 0 ? RecordType.Continued : (byte)0;
                }
            }

            ReadOnlySpan<byte> rest = _buffer.AsSpan(_at, _end - _at);
            rest = rest[..Math.Min(rest.Length, limit - _line.WrittenCount)];
            int lineFeed = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> part = lineFeed < 0 ? rest : rest[..lineFeed];
            _line.Write(part);
            _at += part.Length + (lineFeed < 0 ? 0 : 1);
            if (lineFeed >= 0)
            {
                return RecordType.Line;
            }

            if (_line.WrittenCount == limit)
            {
                return RecordType.Continued;
            }
        }
    }
}
