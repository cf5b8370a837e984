using Postwright.Core.Tables;

namespace Postwright.Commands.Postmap;

/// <summary>Standard output for bytes: much of it, and text with stray bytes goes out as those bytes.</summary>
internal sealed class PostmapOutput(Stream stream) : IDisposable
{
    private readonly byte[] _buffer = new byte[1 << 16];
    private int _used;

    /// <summary>Adds bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _buffer.Length - _used)
        {
            Flush();
            if (bytes.Length > _buffer.Length)
            {
                stream.Write(bytes);
                return;
            }
        }

        bytes.CopyTo(_buffer.AsSpan(_used));
        _used += bytes.Length;
    }

    /// <summary>Adds text.</summary>
    public void Write(string text) => Write(TableText.Encode(text));

    /// <summary>Hands over what was added.</summary>
    public void Flush()
    {
        int used = _used;
        _used = 0;
        stream.Write(_buffer.AsSpan(0, used));
        stream.Flush();
    }

    public void Dispose() => stream.Dispose();
}
