using System.Buffers;
using System.Text;
using Postwright.Protocol.Mail;

namespace Postwright.Server.Cleanup;

/// <summary>
/// Reads the headers of a message as they arrive, cut anywhere, and gives out the headers that stay. Remembers what cleanup
/// must know: hops, Message-Id, which headers are there. Bytes after the headers are not its affair: it says where they begin.
/// <para>Memory: the line being collected and the output not yet taken, both pooled; a header beyond header_size_limit loses
/// its end (as in Postfix), so neither grows with what a peer sends.</para>
/// </summary>
internal sealed class HeaderFilter(CleanupSettings settings, HeaderAddresses? addresses) : IDisposable
{
    private byte[] _output = ArrayPool<byte>.Shared.Rent(2048);
    private int _outputLength;
    private byte[]? _partial;
    private int _partialLength;
    private bool _dropping;
    private HeaderKind _kind;
    private int _headerSize;
    private int _headerStart;

    /// <summary>True once the empty line, or a line that is no header, was seen.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Received: headers.</summary>
    public int Hops { get; private set; }

    /// <summary>Message-ID's value without surrounding blanks, null if there is none.</summary>
    public string? MessageId { get; private set; }

    /// <summary>Resent-Message-ID's value, null if there is none.</summary>
    public string? ResentMessageId { get; private set; }

    /// <summary>One bit a <see cref="HeaderKind"/> that was seen.</summary>
    public ulong Seen { get; private set; }

    /// <summary>True when a Resent- header was seen: what is missing is then completed in that form.</summary>
    public bool IsResent { get; private set; }

    /// <summary>The headers to write so far; <see cref="Clear"/> after writing them.</summary>
    public ReadOnlyMemory<byte> Output => _output.AsMemory(0, _outputLength);

    /// <summary>Forgets the output that was written.</summary>
    public void Clear()
    {
        _outputLength = 0;
        _headerStart = 0;
    }

    /// <summary>True when output should be written before more is read: no header is open that may yet be rewritten.</summary>
    public bool ShouldDrain => _outputLength > 32768;

    /// <summary>True if a header of the kind was seen.</summary>
    public bool Has(HeaderKind kind) => (Seen & (1UL << (int)kind)) != 0;

    /// <summary>Reads bytes; gives the number read, less than all only when the headers ended there.</summary>
    public int Read(ReadOnlySpan<byte> bytes)
    {
        int position = 0;
        while (!IsComplete && position < bytes.Length)
        {
            ReadOnlySpan<byte> rest = bytes[position..];
            int newline = rest.IndexOf((byte)'\n');
            if (newline < 0)
            {
                Collect(rest);
                return bytes.Length;
            }

            if (_partialLength > 0)
            {
                Collect(rest[..(newline + 1)]);
                ReadOnlySpan<byte> whole = _partial.AsSpan(0, _partialLength);
                _partialLength = 0;
                Line(whole);
            }
            else
            {
                Line(rest[..(newline + 1)]);
            }

            position += newline + 1;
        }

        return position;
    }

    /// <summary>The content is over: a line without end is a line; the last header is closed.</summary>
    public void End()
    {
        if (!IsComplete && _partialLength > 0)
        {
            Collect("\r\n"u8);
            ReadOnlySpan<byte> whole = _partial.AsSpan(0, _partialLength);
            _partialLength = 0;
            Line(whole);
        }

        if (!IsComplete)
        {
            CloseHeader();
            IsComplete = true;
        }
    }

    /// <summary>Adds a header of our own after those that came.</summary>
    public void Add(string header) => Append(Encoding.UTF8.GetBytes(header));

    /// <summary>Adds bytes after the headers: the empty line, and a first line of body that made the headers end.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _output.Length - _outputLength)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_output.Length * 2, _outputLength + bytes.Length));
            _output.AsSpan(0, _outputLength).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_output);
            _output = larger;
        }

        bytes.CopyTo(_output.AsSpan(_outputLength));
        _outputLength += bytes.Length;
    }

    /// <summary>The line that ended the headers when it was no empty line: it belongs to the body.</summary>
    public byte[]? FirstBodyLine { get; private set; }

    /// <inheritdoc />
    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_output);
        if (_partial is not null)
        {
            ArrayPool<byte>.Shared.Return(_partial);
        }

        _output = [];
        _partial = null;
        _partialLength = 0;
    }

    private void Line(ReadOnlySpan<byte> line)
    {
        if (HeaderLine.IsContinuation(line) && _headerSize > 0)
        {
            Continue(line);
            return;
        }

        CloseHeader();
        if (line.Length <= 2 && line.TrimEnd("\r\n"u8).IsEmpty)
        {
            IsComplete = true;
            return;
        }

        int length = HeaderLine.NameLength(line, out int colon);
        if (length == 0)
        {
            FirstBodyLine = line.ToArray();
            IsComplete = true;
            return;
        }

        Open(line, line[..length], colon);
    }

    private void Open(ReadOnlySpan<byte> line, ReadOnlySpan<byte> name, int colon)
    {
        _kind = HeaderLine.Identify(name);
        _headerSize = line.Length;
        _headerStart = _outputLength;
        _dropping = IsDropped(name);
        Seen |= 1UL << (int)_kind;
        IsResent |= _kind >= HeaderKind.ResentDate;
        Hops += _kind == HeaderKind.Received ? 1 : 0;
        if (_kind is HeaderKind.MessageId or HeaderKind.ResentMessageId)
        {
            ReadOnlySpan<byte> value = line[(colon + 1)..].Trim(" \t\r\n"u8);
            SetMessageId(Protocol.Smtp.SmtpPath.Decode(value));
        }

        if (!_dropping)
        {
            AppendLimited(line, line.Length);
        }
    }

    private void Continue(ReadOnlySpan<byte> line)
    {
        int before = _headerSize;
        _headerSize = (int)Math.Min((long)_headerSize + line.Length, int.MaxValue / 2);
        if (_kind is HeaderKind.MessageId or HeaderKind.ResentMessageId && (_kind == HeaderKind.MessageId ? MessageId : ResentMessageId) is "")
        {
            SetMessageId(Protocol.Smtp.SmtpPath.Decode(line.Trim(" \t\r\n"u8)));
        }

        if (!_dropping && before < settings.HeaderSizeLimit)
        {
            AppendLimited(line, _headerSize);
        }
    }

    private void SetMessageId(string value)
    {
        // Bounded: it goes into the log.
        string id = value.Length > 1000 ? value[..1000] : value;
        if (_kind == HeaderKind.MessageId)
        {
            MessageId = id;
        }
        else
        {
            ResentMessageId = id;
        }
    }

    private void AppendLimited(ReadOnlySpan<byte> line, int sizeWithLine)
    {
        int start = _outputLength;
        int over = sizeWithLine - settings.HeaderSizeLimit;
        Append(over <= 0 ? line : line[..Math.Max(0, line.Length - over)].TrimEnd("\r\n"u8));
        if (over > 0)
        {
            Append("\r\n"u8);
        }

        if (settings.ReplaceStrayCr)
        {
            ReplaceStrayCr(_output.AsSpan(start, _outputLength - start));
        }
    }

    // As in bodies: a CR that ends no line could end one for the next server.
    private static void ReplaceStrayCr(Span<byte> line)
    {
        for (int found = line.IndexOf((byte)'\r'); found >= 0 && found < line.Length - 2;)
        {
            line[found] = (byte)' ';
            int next = line[(found + 1)..].IndexOf((byte)'\r');
            found = next < 0 ? -1 : found + 1 + next;
        }
    }

    private void CloseHeader()
    {
        if (_headerSize > 0 && !_dropping && addresses is not null)
        {
            ReadOnlySpan<byte> header = _output.AsSpan(_headerStart, _outputLength - _headerStart);
            if (addresses.TryComplete(_kind, header, out byte[] completed))
            {
                _outputLength = _headerStart;
                Append(completed);
            }
        }

        _headerSize = 0;
    }

    private bool IsDropped(ReadOnlySpan<byte> name)
    {
        // Longer than any name worth listing; and the common case allocates nothing.
        if (name.Length > 64)
        {
            return false;
        }

        Span<char> lower = stackalloc char[name.Length];
        for (int i = 0; i < name.Length; i++)
        {
            lower[i] = char.ToLowerInvariant((char)name[i]);
        }

        return settings.DropHeaders.GetAlternateLookup<ReadOnlySpan<char>>().Contains(lower);
    }

    private void Collect(ReadOnlySpan<byte> bytes)
    {
        // A line longer than a header may be: keep its beginning and its end of line.
        int room = settings.HeaderSizeLimit + 1024 - _partialLength;
        if (bytes.Length > room)
        {
            bytes = bytes[^1] == '\n' ? "\r\n"u8 : bytes[..Math.Max(0, room - 2)];
        }

        int needed = _partialLength + bytes.Length;
        if (_partial is null || needed > _partial.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, (_partial?.Length ?? 128) * 2));
            if (_partial is not null)
            {
                _partial.AsSpan(0, _partialLength).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_partial);
            }

            _partial = larger;
        }

        bytes.CopyTo(_partial.AsSpan(_partialLength));
        _partialLength = needed;
    }
}
