using System.Buffers;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// The client's half of one connection: sends bytes, reads replies, both against a stage's time-out. One timer a connection,
/// moved as the stages go by; when it fires, it drops the connection, and the pending call ends as timed out.
/// After anything but an answer the connection is of no further use.
/// </summary>
internal sealed class SmtpConversation : IAsyncDisposable
{
    private const int ReplyLimit = 64 * 1024;
    private const int BufferSize = 4096;

    private readonly IConnection _connection;
    private readonly ITimer _timer;
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private volatile bool _timedOut;

    public SmtpConversation(IConnection connection, TimeProvider timeProvider)
    {
        _connection = connection;
        _timer = timeProvider.CreateTimer(static state => ((SmtpConversation)state!).OnTimeout(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>True once the connection must not be used again.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>True if the server has said something that nobody asked for (a farewell, usually).</summary>
    public bool HasUnreadInput => _end > _start;

    /// <summary>Makes the close an abrupt one: the server must not take what it has for a whole message.</summary>
    public void MarkBroken() => IsBroken = true;

    /// <summary>Sends everything; anything but <see cref="ConversationStatus.Answered"/> says why it could not.</summary>
    public async ValueTask<ConversationStatus> SendAsync(ReadOnlyMemory<byte> bytes, TimeSpan timeout, CancellationToken cancellationToken)
    {
        Arm(timeout);
        try
        {
            await _connection.SendAsync(bytes, cancellationToken);
            return ConversationStatus.Answered;
        }
        catch (IOException)
        {
            IsBroken = true;
            return _timedOut ? ConversationStatus.TimedOut : ConversationStatus.LostConnection;
        }
    }

    /// <summary>Reads the next reply, of one line or several.</summary>
    public async ValueTask<ServerReply> ReadReplyAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        Arm(timeout);
        StringBuilder? lines = null;
        int total = 0;
        while (true)
        {
            int length;
            while ((length = LineLength()) < 0)
            {
                if (_end - _start >= BufferSize)
                {
                    return Break(ServerReply.Malformed);
                }

                if (!await FillAsync(cancellationToken))
                {
                    return Break(_timedOut ? ServerReply.TimedOut : ServerReply.Lost);
                }
            }

            ReadOnlySpan<byte> line = _buffer.AsSpan(_start, length);
            _start += length;
            total += length;
            line = line[..^1];
            if (line.EndsWith("\r"u8))
            {
                line = line[..^1];
            }

            if (total > ReplyLimit || !TryReadCode(line, out int code, out bool last))
            {
                return Break(ServerReply.Malformed);
            }

            string text = Encoding.UTF8.GetString(line);
            if (last)
            {
                return new ServerReply(ConversationStatus.Answered, code, lines is null ? text : lines.Append(text).ToString());
            }

            (lines ??= new StringBuilder()).Append(text).Append('\n');
        }
    }

    /// <summary>While it waits in the cache: no time-out runs, no buffer is held.</summary>
    public void Rest()
    {
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (_buffer is not null && _start == _end)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = null;
            _start = _end = 0;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        if (_buffer is { } buffer)
        {
            _buffer = null;
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (IsBroken)
        {
            _connection.Abort();
        }
        else
        {
            await _connection.DisposeAsync();
        }
    }

    private static bool TryReadCode(ReadOnlySpan<byte> line, out int code, out bool last)
    {
        code = 0;
        last = true;
        if (line.Length < 3 || !char.IsAsciiDigit((char)line[0]) || !char.IsAsciiDigit((char)line[1]) || !char.IsAsciiDigit((char)line[2]))
        {
            return false;
        }

        code = ((line[0] - '0') * 100) + ((line[1] - '0') * 10) + (line[2] - '0');
        last = line.Length == 3 || line[3] != '-';
        return line.Length == 3 || line[3] is (byte)' ' or (byte)'-';
    }

    private ServerReply Break(ServerReply reply)
    {
        IsBroken = true;
        return reply;
    }

    private int LineLength()
    {
        int at = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
        return at < 0 ? -1 : at + 1;
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(BufferSize);
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == _buffer.Length)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        try
        {
            int count = await _connection.ReceiveAsync(_buffer.AsMemory(_end), cancellationToken);
            _end += count;
            return count > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private void Arm(TimeSpan timeout) => _timer.Change(timeout, Timeout.InfiniteTimeSpan);

    private void OnTimeout()
    {
        _timedOut = true;
        _connection.Abort();
    }
}
