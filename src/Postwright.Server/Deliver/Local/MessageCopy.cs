using System.Buffers;
using System.Globalization;
using System.Text;
using Postwright.Core.Posix;
using Postwright.Protocol.Mail;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>What stands around a message in a mailbox, Maildir or command's input.</summary>
[Flags]
internal enum CopyStyle
{
    /// <summary>The message alone.</summary>
    None = 0,

    /// <summary><c>From sender date</c> in front.</summary>
    FromLine = 1,

    /// <summary>Lines that begin with <c>From </c> get a <c>&gt;</c>.</summary>
    QuoteFrom = 2,

    /// <summary>An empty line at the end.</summary>
    BlankLine = 4,

    /// <summary>A Delivered-To: header.</summary>
    DeliveredTo = 8,

    /// <summary>An X-Original-To: header.</summary>
    OriginalTo = 16,

    /// <summary>A mailbox file.</summary>
    Mailbox = FromLine | QuoteFrom | BlankLine | DeliveredTo | OriginalTo,

    /// <summary>A Maildir file.</summary>
    Maildir = DeliveredTo | OriginalTo,

    /// <summary>A command's input.</summary>
    Command = FromLine | DeliveredTo | OriginalTo,
}

/// <summary>The addresses that go into the headers in front, internal form.</summary>
/// <param name="Sender">Return-Path: and the From line; empty for the null sender.</param>
/// <param name="OriginalTo">X-Original-To:; left out when empty.</param>
/// <param name="DeliveredTo">Delivered-To:.</param>
/// <param name="ForwardedBy">Users whose .forward sent it here, latest first: a Delivered-To: each.</param>
internal readonly record struct CopyAddresses(string Sender, string OriginalTo, string DeliveredTo, IReadOnlyList<string> ForwardedBy);

/// <summary>A message and what stands around it.</summary>
internal readonly record struct CopySource(AgentContent Content, CopyAddresses Addresses, CopyStyle Style, DateTimeOffset LocalTime);

/// <summary>Where the bytes of a copy go: 0, or minus errno.</summary>
internal interface ICopySink
{
    int Write(ReadOnlySpan<byte> bytes);
}

/// <summary>An open file with room for so many bytes; beyond it EFBIG, as a file size limit of the kernel would say.</summary>
internal sealed class FileSink(int descriptor, long room) : ICopySink
{
    private long _room = room;

    public int Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _room)
        {
            return -Errno.FileTooLarge;
        }

        _room -= bytes.Length;
        return DeliveryFile.Write(descriptor, bytes);
    }
}

/// <summary>
/// Writes a message as local delivery stores it: Postfix's headers in front, lines ended by LF instead of CRLF (other CRs stay).
/// A message without a final line end gets one. Memory is one buffer, whatever the message's size.
/// </summary>
internal sealed class MessageCopy
{
    private const int BufferSize = 64 * 1024;
    private readonly ICopySink _sink;
    private readonly bool _quote;
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private int _used;
    private int _error;
    private bool _lineStart = true;

    private MessageCopy(ICopySink sink, bool quote)
    {
        _sink = sink;
        _quote = quote;
    }

    /// <summary>Copies; 0, or minus errno of the first write that failed.</summary>
    /// <exception cref="IOException">The message could not be read.</exception>
    public static int Copy(in CopySource source, ICopySink sink)
    {
        (AgentContent content, CopyAddresses addresses, CopyStyle style, DateTimeOffset localTime) = source;
        var copy = new MessageCopy(sink, style.HasFlag(CopyStyle.QuoteFrom));
        try
        {
            copy.Put(Preamble(addresses, style, localTime));
            copy.Body(content);
            if (!copy._lineStart)
            {
                copy.Put("\n"u8);
            }

            if (style.HasFlag(CopyStyle.BlankLine))
            {
                copy.Put("\n"u8);
            }

            copy.Flush();
            return copy._error;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy._buffer);
        }
    }

    /// <summary>asctime's form: <c>Thu Jan  1 00:00:00 1970</c>.</summary>
    public static string AscTime(DateTimeOffset time) => string.Create(
        CultureInfo.InvariantCulture, $"{time:ddd MMM} {time.Day,2} {time:HH:mm:ss yyyy}");

    private static byte[] Preamble(CopyAddresses addresses, CopyStyle style, DateTimeOffset localTime)
    {
        var text = new StringBuilder(256);
        string sender = OneLine(addresses.Sender);
        if (style.HasFlag(CopyStyle.FromLine))
        {
            text.Append("From ").Append(sender.Length == 0 ? "MAILER-DAEMON" : sender).Append("  ").Append(AscTime(localTime)).Append('\n');
        }

        text.Append("Return-Path: <").Append(sender).Append(">\n");
        if (style.HasFlag(CopyStyle.OriginalTo) && addresses.OriginalTo.Length > 0)
        {
            text.Append("X-Original-To: ").Append(OneLine(addresses.OriginalTo)).Append('\n');
        }

        if (style.HasFlag(CopyStyle.DeliveredTo))
        {
            text.Append("Delivered-To: ").Append(OneLine(addresses.DeliveredTo)).Append('\n');
            foreach (string user in addresses.ForwardedBy)
            {
                text.Append("Delivered-To: ").Append(OneLine(user)).Append('\n');
            }
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    // A quoted local part may hold a line end; in a header it would forge the next one.
    private static string OneLine(string address)
    {
        string text = AddressText.ToExternal(address);
        return text.AsSpan().ContainsAnyInRange('\0', '\x1f')
            ? string.Concat(text.Select(c => c < ' ' ? '?' : c))
            : text;
    }

    private void Body(AgentContent content)
    {
        if (content.TryGetMemory(out ReadOnlyMemory<byte> bytes))
        {
            Lines(bytes.Span);
            return;
        }

        byte[] chunk = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            long offset = 0;
            int kept = 0;
            while (_error == 0)
            {
                int count = content.Read(offset, chunk.AsSpan(kept, BufferSize - kept));
                if (count == 0)
                {
                    if (offset < content.Length)
                    {
                        throw new IOException($"the message ends at {offset} of {content.Length} bytes");
                    }

                    Lines(chunk.AsSpan(0, kept));
                    return;
                }

                offset += count;
                kept = LinesOf(chunk, kept + count);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    // Copies whole lines and moves the rest to the front. A line longer than the buffer goes in parts, cut before a CR.
    private int LinesOf(byte[] chunk, int length)
    {
        int end = chunk.AsSpan(0, length).LastIndexOf((byte)'\n') + 1;
        if (end == 0 && length == BufferSize)
        {
            end = chunk[length - 1] == '\r' ? length - 1 : length;
        }

        Lines(chunk.AsSpan(0, end));
        chunk.AsSpan(end, length - end).CopyTo(chunk);
        return length - end;
    }

    private void Lines(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && _error == 0)
        {
            if (_quote && _lineStart && bytes.StartsWith("From "u8))
            {
                Put(">"u8);
            }

            int end = bytes.IndexOf((byte)'\n');
            if (end < 0)
            {
                Put(bytes);
                _lineStart = false;
                return;
            }

            Put(end > 0 && bytes[end - 1] == '\r' ? bytes[..(end - 1)] : bytes[..end]);
            Put("\n"u8);
            _lineStart = true;
            bytes = bytes[(end + 1)..];
        }
    }

    private void Put(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_used == BufferSize)
            {
                Flush();
            }

            int count = Math.Min(bytes.Length, BufferSize - _used);
            bytes[..count].CopyTo(_buffer.AsSpan(_used));
            _used += count;
            bytes = bytes[count..];
        }
    }

    private void Flush()
    {
        if (_error == 0 && _used > 0)
        {
            _error = Math.Min(0, _sink.Write(_buffer.AsSpan(0, _used)));
        }

        _used = 0;
    }
}
