using System.Text;

namespace Postwright.Core.Tables;

/// <summary>A buffer in which one text after the other is turned into the bytes of table files.</summary>
internal sealed class EncodedText
{
    private byte[] _buffer = new byte[512];

    /// <summary>What <see cref="TableText.Encode"/> gives, with or without a NUL; it counts until the next call.</summary>
    public ReadOnlySpan<byte> Encode(string text, bool nul)
    {
        int longest = (text.Length * 3) + 1;
        if (_buffer.Length < longest)
        {
            _buffer = new byte[longest];
        }

        int length;
        if (text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            byte[] bytes = TableText.Encode(text);
            bytes.CopyTo(_buffer, 0);
            length = bytes.Length;
        }
        else
        {
            length = Encoding.UTF8.GetBytes(text, _buffer);
        }

        _buffer[length] = 0;
        return _buffer.AsSpan(0, nul ? length + 1 : length);
    }
}
