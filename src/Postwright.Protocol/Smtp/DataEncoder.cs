namespace Postwright.Protocol.Smtp;

/// <summary>
/// Puts a message's content into the form that follows DATA (RFC 5321, 4.5.2): a dot before each line that begins with one,
/// lines above a limit broken by CRLF and a blank (as Postfix's smtp_line_length_limit does), a CRLF at the end if there is none,
/// and the final dot. Pure: bytes in, bytes out, state in between; input may be cut anywhere.
/// </summary>
/// <param name="lineLimit">Longest line in bytes without its CRLF; 0 for no limit.</param>
public struct DataEncoder(int lineLimit)
{
    private int _lineLength;
    private byte _last = (byte)'\n';

    /// <summary>The most bytes that <paramref name="count"/> bytes of content can become.</summary>
    public static int MaxEncoded(int count) => (2 * count) + 16;

    /// <summary>Encodes <paramref name="content"/> into <paramref name="output"/>, which has room for <see cref="MaxEncoded"/>; returns the bytes written.</summary>
    public int Encode(ReadOnlySpan<byte> content, Span<byte> output)
    {
        int written = 0;
        while (content.Length > 0)
        {
            if (_lineLength == 0 && _last == '\n' && content[0] == '.')
            {
                output[written++] = (byte)'.';
            }

            int end = content.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = end < 0 ? content : content[..(end + 1)];
            content = content[line.Length..];
            written += CopyLine(line, output[written..]);
        }

        return written;
    }

    /// <summary>The end: CRLF if the content did not end with one, and the final dot. At most 5 bytes.</summary>
    public readonly int Finish(Span<byte> output)
    {
        ReadOnlySpan<byte> ending = _last == '\n' ? ".\r\n"u8 : "\r\n.\r\n"u8;
        ending.CopyTo(output);
        return ending.Length;
    }

    private int CopyLine(ReadOnlySpan<byte> line, Span<byte> output)
    {
        int written = 0;
        if (lineLimit > 0)
        {
            // The CRLF does not count, and a lone CR at the cut may be half of one.
            int text = line.Length - (line.EndsWith("\r\n"u8) ? 2 : line[^1] is (byte)'\n' or (byte)'\r' ? 1 : 0);
            while (_lineLength + text > lineLimit)
            {
                int part = lineLimit - _lineLength;
                line[..part].CopyTo(output[written..]);
                written += part;
                "\r\n "u8.CopyTo(output[written..]);
                written += 3;
                line = line[part..];
                text -= part;
                _lineLength = 1;
            }
        }

        line.CopyTo(output[written..]);
        written += line.Length;
        if (line.Length > 0)
        {
            _last = line[^1];
        }

        // A CR at the cut is half of a line's end and no part of its length.
        _lineLength = _last == '\n' ? 0 : _lineLength + line.Length - (_last == '\r' ? 1 : 0);
        return written;
    }
}
