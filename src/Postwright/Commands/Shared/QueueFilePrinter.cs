using System.Globalization;
using System.Text;
using Postwright.Commands.Sendmail;
using Postwright.Core.Records;

namespace Postwright.Commands.Shared;

/// <summary>
/// Prints a queue file as postcat does: envelope records by name, content as text, marks between the parts. Content bytes go out
/// as they are. Pointers are followed where the input can be moved in.
/// </summary>
internal sealed class QueueFilePrinter(Stream output, PostcatOptions options, CommandMessages messages)
{
    /// <summary>Pointers back into a file; more are a loop.</summary>
    private const int BackwardLimit = 100;

    private enum Part
    {
        Envelope,
        Header,
        Body,
    }

    private Part _part;
    private byte _previous;
    private string _path = "";
    private bool _atLineStart = true;

    /// <summary>Prints a file.</summary>
    /// <returns>The exit status.</returns>
    public int Print(Stream input, string path)
    {
        (_part, _previous, _path, _atLineStart) = (Part.Envelope, 0, path, true);
        if (!Skip(input, path))
        {
            return 1;
        }

        var reader = new RecordReader(input, 0);
        reader.MovedTo(options.Start);
        bool first = options.Start == 0;
        int backward = 0;
        try
        {
            while (true)
            {
                RecordReadStatus status = reader.Read();
                if (first && status != RecordReadStatus.EndOfStream && !RecordType.Envelope.Contains(reader.Type))
                {
                    messages.Warning($"{path}: input is not a valid queue file");
                    return 0;
                }

                if (first && options.Envelope)
                {
                    Text($"*** ENVELOPE RECORDS {path} ***\n");
                }

                first = false;
                switch (status)
                {
                    case RecordReadStatus.EndOfStream:
                        return 0;
                    case RecordReadStatus.Invalid:
                        output.Flush();
                        return messages.Fatal("record read error");
                }

                if (reader.Type == RecordType.Pointer && !options.Raw && !Follow(input, reader, ref backward))
                {
                    output.Flush();
                    return messages.Fatal("bad pointer record, or input is not seekable");
                }

                if (!Print(reader))
                {
                    return 0;
                }
            }
        }
        catch (IOException)
        {
            // Whoever reads has seen enough.
            return 0;
        }
    }

    private bool Skip(Stream input, string path)
    {
        if (options.Start == 0)
        {
            return true;
        }

        if (input.CanSeek)
        {
            input.Position = options.Start;
            return true;
        }

        for (long skipped = 0; skipped < options.Start; skipped++)
        {
            if (input.ReadByte() < 0)
            {
                messages.Fatal($"{path}: skip {options.Start} bytes failed after {skipped}");
                return false;
            }
        }

        return true;
    }

    /// <summary>A pointer names the offset of the next record; 0 is one that was never filled in.</summary>
    private static bool Follow(Stream input, RecordReader reader, ref int backward)
    {
        if (!input.CanSeek || !long.TryParse(Encoding.Latin1.GetString(reader.Data.Span).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long offset))
        {
            return false;
        }

        if (offset == 0)
        {
            return true;
        }

        if (offset < reader.Offset && ++backward > BackwardLimit)
        {
            return false;
        }

        input.Position = offset;
        reader.MovedTo(offset);
        return true;
    }

    /// <summary>Prints a record.</summary>
    /// <returns>False after the last.</returns>
    private bool Print(RecordReader reader)
    {
        byte type = reader.Type;
        switch (type)
        {
            case RecordType.Line or RecordType.Continued:
                return PrintText(reader);
            case RecordType.Message:
                PrintMark(reader, "MESSAGE CONTENTS", _part == Part.Envelope, "message content marker");
                _part = Part.Header;
                return true;
            case RecordType.Extracted:
                if (IsShown && _previous == RecordType.Continued)
                {
                    Text("\n");
                }

                PrintMark(reader, "HEADER EXTRACTED", _part != Part.Envelope, "extracted segment marker");
                _part = Part.Envelope;
                return IsShown;
            case RecordType.End:
                PrintMark(reader, "MESSAGE FILE END", _part == Part.Envelope, "message end marker");
                return options.Raw;
            case RecordType.Pointer or RecordType.Padding when !options.Verbose:
                return true;
        }

        if (IsShown)
        {
            PrintRecord(reader);
            _previous = type is RecordType.Pointer or RecordType.Size ? _previous : type;
        }

        return true;
    }

    private bool IsShown => _part switch { Part.Envelope => options.Envelope, Part.Header => options.Header, _ => options.Body };

    private void PrintMark(RecordReader reader, string mark, bool inOrder, string name)
    {
        if (!inOrder)
        {
            messages.Warning($"{_path}: out-of-order {name}");
        }

        if (options.Envelope)
        {
            Prefix(reader);
            Text($"*** {mark} {_path} ***\n");
        }
    }

    private bool PrintText(RecordReader reader)
    {
        ReadOnlySpan<byte> text = reader.Data.Span;
        if (_part == Part.Header && _previous != RecordType.Continued && HeaderRecipients.ColonOf(text) is null
            && !(text.Length > 0 && text[0] is (byte)' ' or (byte)'\t'))
        {
            _part = Part.Body;
            if (!IsShown && !options.Envelope)
            {
                return false;
            }
        }

        if (!IsShown)
        {
            return true;
        }

        Prefix(reader);
        bool whole = reader.Type == RecordType.Line;
        if (!whole && _part == Part.Envelope)
        {
            Text(RecordType.Name(RecordType.Filter) + ": ");
        }
        else if (options.Verbose)
        {
            Text(whole ? "regular_text: " : "unterminated_text: ");
        }

        Bytes(text);
        bool ends = whole || _part == Part.Envelope || options.Verbose || options.Offsets;
        if (ends)
        {
            Text("\n");
        }

        _previous = whole || !ends ? reader.Type : (byte)0;
        return true;
    }

    private void PrintRecord(RecordReader reader)
    {
        string text = Encoding.Latin1.GetString(reader.Data.Span);
        Prefix(reader);
        switch (reader.Type)
        {
            case RecordType.Time or RecordType.WarningTime:
                PrintTime(RecordType.Name(reader.Type), text);
                break;
            case RecordType.Attribute:
                PrintAttribute(text);
                break;
            default:
                Latin1($"{RecordType.Name(reader.Type)}: {text}\n");
                break;
        }
    }

    private void PrintAttribute(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        string name = text[..Math.Max(equals, 0)].Trim();
        if (name.Length == 0)
        {
            messages.Warning($"{_path}: malformed attribute: {(equals < 0 ? "missing '=' after attribute name" : "missing attribute name")}: {text}");
            return;
        }

        string value = text[(equals + 1)..].Trim();
        if (name == "create_time")
        {
            PrintTime(name, value);
        }
        else
        {
            Latin1($"{RecordType.Name(RecordType.Attribute)}: {name}={value}\n");
        }
    }

    private void PrintTime(string name, string text)
    {
        string digits = new([.. text.TrimStart().TakeWhile(char.IsAsciiDigit)]);
        _ = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds);
        DateTimeOffset time = TimeZoneInfo.ConvertTime(DateTimeOffset.FromUnixTimeSeconds(Math.Min(seconds, 253_402_300_799)), TimeZoneInfo.Local);
        Text(string.Create(CultureInfo.InvariantCulture, $"{name}: {time:ddd MMM} {time.Day,2} {time:HH:mm:ss yyyy}\n"));
    }

    private void Prefix(RecordReader reader)
    {
        if (options.Offsets)
        {
            Text(string.Create(CultureInfo.InvariantCulture, $"{reader.Offset,9} "));
        }

        if (options.Types)
        {
            Text(string.Create(CultureInfo.InvariantCulture, $"{reader.Type,3} "));
        }
    }

    private void Latin1(string text) => Bytes(Encoding.Latin1.GetBytes(text));

    private void Text(string text) => Bytes(Encoding.UTF8.GetBytes(text));

    private void Bytes(ReadOnlySpan<byte> bytes)
    {
        if (options.Names && _atLineStart && !bytes.IsEmpty)
        {
            output.Write(Encoding.UTF8.GetBytes(_path + ": "));
        }

        output.Write(bytes);
        _atLineStart = bytes.IsEmpty ? _atLineStart : bytes[^1] == '\n';
    }
}
