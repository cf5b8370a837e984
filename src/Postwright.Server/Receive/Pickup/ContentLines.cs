using System.Buffers;
using Postwright.Server.Cleanup;

namespace Postwright.Server.Receive.Pickup;

/// <summary>
/// Gathers the records of a maildrop file's content into lines ended by CRLF and hands them on in blocks. A first line that
/// begins with white space gets an empty line before it: it must not become part of our own Received: header.
/// </summary>
internal sealed class ContentLines(ICleanupMessage into, bool replaceStrayCrLf)
{
    private static readonly SearchValues<byte> LineBreaks = SearchValues.Create("\r\n"u8);

    private const int BlockSize = 16 << 10;

    private readonly ArrayBufferWriter<byte> _block = new(BlockSize);
    private bool _first = true;
    private bool _unfinished;

    /// <summary>Adds a line, or a part of one.</summary>
    public async ValueTask AddAsync(ReadOnlyMemory<byte> text, bool endsLine, CancellationToken cancellationToken)
    {
        if (_first && text.Length > 0 && text.Span[0] is (byte)' ' or (byte)'\t')
        {
            _block.Write("\r\n"u8);
        }

        _first = false;
        Append(text.Span);
        _unfinished = !endsLine;
        if (endsLine)
        {
            _block.Write("\r\n"u8);
        }

        if (_block.WrittenCount >= BlockSize)
        {
            await HandOverAsync(cancellationToken);
        }
    }

    /// <summary>Ends an unfinished last line, and hands over the rest.</summary>
    public async ValueTask EndAsync(CancellationToken cancellationToken)
    {
        if (_unfinished)
        {
            _block.Write("\r\n"u8);
        }

        await HandOverAsync(cancellationToken);
    }

    private void Append(ReadOnlySpan<byte> text)
    {
        Span<byte> room = _block.GetSpan(text.Length);
        text.CopyTo(room);
        if (replaceStrayCrLf)
        {
            room[..text.Length].ReplaceAny(LineBreaks, (byte)' ');
        }

        _block.Advance(text.Length);
    }

    private async ValueTask HandOverAsync(CancellationToken cancellationToken)
    {
        if (_block.WrittenCount > 0)
        {
            await into.WriteAsync(_block.WrittenMemory, cancellationToken);
            _block.ResetWrittenCount();
        }
    }
}
