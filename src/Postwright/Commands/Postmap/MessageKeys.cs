using Postwright.Core.Configuration;
using Postwright.Protocol.Mail;

namespace Postwright.Commands.Postmap;

// A message as header_checks(5) and body_checks(5) see it: each header a key, with its continuation lines and without blanks
// before the colon; each body line a key. With MIME (RFC 2045, 2046), headers of parts and of attached messages count as
// headers; boundary lines count as body. A message whose header ends without an empty line gets one.

/// <summary>Makes lookup keys of a message's lines.</summary>
internal sealed class MessageKeys
{
    private readonly bool _mime;
    private readonly KeyTaker _take;
    private readonly int _headerLimit;
    private readonly int _nestingLimit;
    private readonly int _boundaryLimit;
    private readonly Stack<(byte[] Boundary, bool IsDigest)> _open = new();
    private readonly List<byte> _header = [];
    private Place _place = Place.Primary;
    private Content _content = Content.Other;
    private byte[]? _boundary;

    public MessageKeys(bool mime, MailConfiguration configuration, KeyTaker take)
    {
        _mime = mime;
        _take = take;
        _headerLimit = configuration.GetInt("header_size_limit");
        _nestingLimit = configuration.GetInt("mime_nesting_limit");
        _boundaryLimit = configuration.GetInt("mime_boundary_length_limit");
    }

    private enum Place
    {
        Primary,
        Part,
        Attached,
        Body,
    }

    private enum Content
    {
        Other,
        Multipart,
        Digest,
        Message,
    }

    public bool TakesHeaders { get; init; }

    public bool TakesBody { get; init; }

    /// <summary>Takes the next line.</summary>
    public void Line(ReadOnlySpan<byte> line)
    {
        if (_place != Place.Body)
        {
            if (_header.Count > 0 && HeaderLine.IsContinuation(line))
            {
                if (_header.Count < _headerLimit)
                {
                    _header.Add((byte)'\n');
                    _header.AddRange(line);
                }

                return;
            }

            EndHeader();
            if (HeaderLine.NameLength(line, out int colon) is > 0 and int name)
            {
                _header.AddRange(line[..name]);
                _header.AddRange(line[colon..]);
                return;
            }

            if (!EndOfHeaders(line))
            {
                return;
            }
        }

        if (_mime && line.StartsWith("--"u8))
        {
            Boundary(line[2..]);
        }

        Body(line);
    }

    /// <summary>The message ends.</summary>
    public void End() => EndHeader();

    private void Body(ReadOnlySpan<byte> line)
    {
        if (TakesBody)
        {
            _take(line);
        }
    }

    private void EndHeader()
    {
        if (_header.Count == 0)
        {
            return;
        }

        ReadOnlySpan<byte> header = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_header);
        const string Name = "Content-Type:";
        if (_mime && header.Length > Name.Length && System.Text.Ascii.EqualsIgnoreCase(header[..Name.Length], Name))
        {
            ReadContentType(header[Name.Length..]);
        }

        if (TakesHeaders)
        {
            _take(header);
        }

        _header.Clear();
    }

    /// <summary>Headers end with a line that is none; false when it belongs to what ended and headers of an attached message follow.</summary>
    private bool EndOfHeaders(ReadOnlySpan<byte> line)
    {
        if (_boundary is not null && _open.Count <= _nestingLimit + 1)
        {
            _open.Push((_boundary, _content == Content.Digest));
        }

        bool attached = _content == Content.Message && line.IsEmpty;
        if (line.Length > 0 && _place == Place.Primary)
        {
            Body([]);
        }

        _boundary = null;
        _content = Content.Other;
        _place = attached ? Place.Attached : Place.Body;
        if (attached)
        {
            Body(line);
        }

        return !attached;
    }

    private void Boundary(ReadOnlySpan<byte> text)
    {
        int depth = 0;
        foreach ((byte[] boundary, bool isDigest) in _open)
        {
            if (!text.StartsWith(boundary))
            {
                depth++;
                continue;
            }

            for (; depth > 0; depth--)
            {
                _open.Pop();
            }

            if (text[boundary.Length..].StartsWith("--"u8))
            {
                _open.Pop();
                _place = Place.Body;
            }
            else
            {
                _place = Place.Part;
                _content = isDigest ? Content.Message : Content.Other;
            }

            return;
        }
    }

    private void ReadContentType(ReadOnlySpan<byte> text)
    {
        List<string> words = Words(text);
        _content = (words, words.Count > 2 && words[1] == "/") switch
        {
            (["multipart", ..], true) => words[2] == "digest" ? Content.Digest : Content.Multipart,
            (["message", ..], true) => words[2] == "rfc822" ? Content.Message : Content.Other,
            _ => Content.Other,
        };
        _boundary = null;
        for (int i = 3; i + 3 < words.Count && _content is Content.Multipart or Content.Digest; i++)
        {
            if (words[i] == ";" && words[i + 1] == "boundary" && words[i + 2] == "=")
            {
                // The words are folded; a boundary is not.
                byte[] boundary = Word(text, i + 3);
                _boundary = boundary[..Math.Min(boundary.Length, _boundaryLimit)];
                return;
            }
        }
    }

    private static List<string> Words(ReadOnlySpan<byte> text)
    {
        var words = new List<string>();
        while (NextWord(ref text) is { } word)
        {
            words.Add(System.Text.Encoding.Latin1.GetString(word).ToLowerInvariant());
        }

        return words;
    }

    private static byte[] Word(ReadOnlySpan<byte> text, int number)
    {
        while (number-- > 0)
        {
            NextWord(ref text);
        }

        return NextWord(ref text) ?? [];
    }

    /// <summary>The next word, quoted string or special character of a structured header; comments and blanks are skipped.</summary>
    private static byte[]? NextWord(ref ReadOnlySpan<byte> text)
    {
        const string Special = "()<>@,;:\\\"/[]?=";
        while (text.Length > 0 && (text[0] <= ' ' || text[0] == '('))
        {
            text = text[0] == '(' ? text[CommentLength(text)..] : text[1..];
        }

        if (text.IsEmpty)
        {
            return null;
        }

        var word = new List<byte>();
        int used = 1;
        if (text[0] == '"')
        {
            for (; used < text.Length && text[used] != '"'; used++)
            {
                used += text[used] == '\\' && used + 1 < text.Length ? 1 : 0;
                word.Add(text[used]);
            }

            used = Math.Min(used + 1, text.Length);
        }
        else
        {
            word.Add(text[0]);
            while (!Special.Contains((char)text[0]) && used < text.Length && text[used] > ' ' && !Special.Contains((char)text[used]))
            {
                word.Add(text[used++]);
            }
        }

        text = text[used..];
        return [.. word];
    }

    private static int CommentLength(ReadOnlySpan<byte> text)
    {
        int depth = 0;
        for (int i = 0; i < text.Length; i++)
        {
            depth += text[i] switch { (byte)'(' => 1, (byte)')' => -1, _ => 0 };
            i += text[i] == '\\' ? 1 : 0;
            if (depth == 0)
            {
                return i + 1;
            }
        }

        return text.Length;
    }
}
