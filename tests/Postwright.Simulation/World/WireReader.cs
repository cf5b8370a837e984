using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Simulation.World;

/// <summary>Lines from a connection, for the world's clients and servers.</summary>
internal sealed class WireReader(IConnection connection)
{
    private readonly byte[] _buffer = new byte[8192];
    private readonly List<byte> _line = [];
    private int _start;
    private int _end;

    /// <summary>The next line without its end; null when the peer has ended.</summary>
    public async ValueTask<string?> LineAsync()
    {
        ReadOnlyMemory<byte>? line = await BytesAsync();
        return line is { } bytes ? Encoding.UTF8.GetString(bytes.Span) : null;
    }

    /// <summary>The next line's bytes, valid until the next call.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> BytesAsync()
    {
        _line.Clear();
        while (true)
        {
            while (_start < _end)
            {
                byte next = _buffer[_start++];
                if (next == '\n')
                {
                    if (_line.Count > 0 && _line[^1] == '\r')
                    {
                        _line.RemoveAt(_line.Count - 1);
                    }

                    return _line.ToArray();
                }

                _line.Add(next);
            }

            (_start, _end) = (0, await connection.ReceiveAsync(_buffer, CancellationToken.None));
            if (_end == 0)
            {
                return null;
            }
        }
    }

    /// <summary>A reply: its code and last line; 0 when the peer has ended.</summary>
    public async ValueTask<(int Code, string Text)> ReplyAsync()
    {
        while (await LineAsync() is { } line)
        {
            if (line.Length < 4 || line[3] != '-')
            {
                return (int.TryParse(line.AsSpan(0, Math.Min(3, line.Length)), out int code) ? code : -1, line);
            }
        }

        return (0, "");
    }
}
