using System.Text;

namespace Postwright.Core.Records;

/// <summary>
/// Writes records to a stream, buffered; <see cref="Flush"/> hands over what is left. Texts are written as bytes held in
/// Latin-1 (what came in as bytes goes out as the same bytes) or as UTF-8, by the method's name.
/// </summary>
/// <param name="stream">Where to; not disposed. Its failures come through as they are.</param>
public sealed class RecordWriter(Stream stream)
{
    private readonly byte[] _buffer = new byte[16 << 10];
    private int _used;

    /// <summary>Bytes written so far, buffered ones included.</summary>
    public long Length { get; private set; }

    /// <summary>Writes a record without data.</summary>
    public void Write(byte type) => Write(type, []);

    /// <summary>Writes a record.</summary>
    public void Write(byte type, ReadOnlySpan<byte> data)
    {
        Span<byte> header = stackalloc byte[RecordParser.MaximumHeader];
        int headerLength = RecordParser.WriteHeader(header, type, data.Length);
        Put(header[..headerLength]);
        Put(data);
    }

    /// <summary>Writes a record of a text whose characters are bytes; a character above 255 becomes <c>?</c>.</summary>
    public void WriteBytes(byte type, string text) => Write(type, Encoding.Latin1.GetBytes(text));

    /// <summary>Writes a record of a text as UTF-8.</summary>
    public void WriteUtf8(byte type, string text) => Write(type, Encoding.UTF8.GetBytes(text));

    /// <summary>Hands what is buffered to the stream.</summary>
    public void Flush()
    {
        stream.Write(_buffer, 0, _used);
        _used = 0;
        stream.Flush();
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        Length += bytes.Length;
        if (bytes.Length > _buffer.Length - _used)
        {
            stream.Write(_buffer, 0, _used);
            _used = 0;
            if (bytes.Length > _buffer.Length)
            {
                stream.Write(bytes);
                return;
            }
        }

        bytes.CopyTo(_buffer.AsSpan(_used));
        _used += bytes.Length;
    }
}
