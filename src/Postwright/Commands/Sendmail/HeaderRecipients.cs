using System.Text;
using Postwright.Core.Records;
using Postwright.Protocol.Mail;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// sendmail -t: passes a message's lines on and gathers the recipients of its headers on the way. Where a Resent- header has
/// recipients, only such headers count. Headers end at the first line that is none; where that is not an empty line, one is put
/// before it.
/// </summary>
/// <param name="records">Where the lines go.</param>
/// <param name="lineLimit">line_length_limit: a header's longer lines are cut.</param>
/// <param name="headerLimit">header_size_limit: a longer header is an error, since recipients would be lost.</param>
internal sealed class HeaderRecipients(RecordWriter records, int lineLimit, int headerLimit)
{
    private readonly List<string> _plain = [];
    private readonly List<string> _resent = [];
    private readonly StringBuilder _header = new();
    private bool _inHeaders = true;
    private byte _previous;

    /// <summary>The recipients, each as bytes held in Latin-1.</summary>
    public IReadOnlyList<string> Found => IsResent ? _resent : _plain;

    private bool IsResent { get; set; }

    /// <summary>Takes a record of the content.</summary>
    /// <returns>False if a header is too long.</returns>
    public bool Take(byte type, ReadOnlySpan<byte> text)
    {
        byte previous = _previous;
        _previous = type;
        if (!_inHeaders)
        {
            records.Write(type, text);
            return true;
        }

        if (_header.Length > 0 && (previous == RecordType.Continued || (text.Length > 0 && text[0] is (byte)' ' or (byte)'\t')))
        {
            _header.Append(previous == RecordType.Continued ? "" : "\n").Append(Encoding.Latin1.GetString(text));
            return _header.Length < headerLimit;
        }

        EndHeader();
        if (ColonOf(text) is { } colon)
        {
            // White space before the colon is obsolete (RFC 5322, 4.5.3) and hides the header from others: it goes.
            string name = Encoding.Latin1.GetString(text[..colon]).TrimEnd(' ', '\t');
            _header.Append(name).Append(Encoding.Latin1.GetString(text[colon..]));
            return _header.Length < headerLimit;
        }

        _inHeaders = false;
        if (!text.IsEmpty)
        {
            records.Write(RecordType.Line);
        }

        records.Write(type, text);
        return true;
    }

    /// <summary>The content has ended.</summary>
    public void End()
    {
        if (_inHeaders)
        {
            EndHeader();
        }
        else if (_previous == RecordType.Continued)
        {
            records.Write(RecordType.Line);
        }
    }

    private void EndHeader()
    {
        if (_header.Length == 0)
        {
            return;
        }

        string header = _header.ToString();
        _header.Clear();
        GatherRecipients(header);
        foreach (string line in header.Split('\n'))
        {
            string rest = line;
            for (; rest.Length > lineLimit; rest = rest[lineLimit..])
            {
                records.WriteBytes(RecordType.Continued, rest[..lineLimit]);
            }

            records.WriteBytes(RecordType.Line, rest);
        }
    }

    private void GatherRecipients(string header)
    {
        int colon = header.IndexOf(':', StringComparison.Ordinal);
        List<string>? list = header[..colon].ToLowerInvariant() switch
        {
            "to" or "cc" or "bcc" => _plain,
            "resent-to" or "resent-cc" or "resent-bcc" => _resent,
            _ => null,
        };
        if (list is null)
        {
            return;
        }

        IsResent |= ReferenceEquals(list, _resent);
        list.AddRange(AddressList.Addresses(header[(colon + 1)..]));
    }

    /// <summary>Where a header's colon is: after a name of visible characters and perhaps white space (RFC 5322, 2.2); null if this is none.</summary>
    internal static int? ColonOf(ReadOnlySpan<byte> text)
    {
        int at = 0;
        while (at < text.Length && text[at] is > 32 and < 127 and not (byte)':')
        {
            at++;
        }

        int name = at;
        while (at < text.Length && text[at] is (byte)' ' or (byte)'\t')
        {
            at++;
        }

        return name > 0 && at < text.Length && text[at] == ':' ? at : null;
    }
}
