using System.Text;
using Postwright.Protocol.Smtp;

namespace Postwright.Server.Receive.Smtpd;

// The lines at the end of a session, in the shapes that log readers know.
internal sealed partial class SmtpdSession
{
    private void LogEnd()
    {
        if (_countsClient)
        {
            _server.Clients.Disconnect(_options.ServiceName, _peer.IpAddress!, _options);
        }

        if (_reason is not null && !(_reason == "lost connection" && _state.Where == "END-OF-MESSAGE"))
        {
            string size = _state.Where is "DATA content" or "BDAT content" ? $" ({_contentBytes} bytes)" : "";
            string where = size.Length > 0 ? _state.Where[..4] : _state.Where;
            _log.Info($"{_state.QueueId ?? "NOQUEUE"}: {_reason} after {where}{size} from {_state.Client.NameAndAddress}");
        }

        StringBuilder counts = new();
        int succeeded = 0;
        int attempted = 0;
        for (int i = 0; i < SmtpVerbs.Count; i++)
        {
            if (_attempted[i] > 0)
            {
                AppendCount(counts, SmtpVerbs.LowerName((SmtpVerb)i), _succeeded[i], _attempted[i]);
                succeeded += _succeeded[i];
                attempted += _attempted[i];
            }
        }

        if (attempted == 0)
        {
            counts.Append(" commands=0/0");
        }
        else
        {
            AppendCount(counts, "commands", succeeded, attempted);
        }

        string notes = _sawBareNewline && _options.BareNewline == BareNewline.Note ? " notes=bare_lf" : "";
        _log.Info($"disconnect from {_state.Client.NameAndAddress}{counts}{notes}");
    }

    private static void AppendCount(StringBuilder counts, string name, int succeeded, int attempted)
    {
        counts.Append(' ').Append(name).Append('=').Append(succeeded);
        if (succeeded != attempted)
        {
            counts.Append('/').Append(attempted);
        }
    }

    private static string Shorten(string text, int length) => text.Length <= length ? text : text[..length];

    // As C would write it: printable text stays, the rest is \r, \n, \t or octal.
    private static string Escape(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length + 8);
        foreach (byte c in bytes)
        {
            _ = c switch
            {
                (byte)'\r' => text.Append("\\r"),
                (byte)'\n' => text.Append("\\n"),
                (byte)'\t' => text.Append("\\t"),
                (byte)'\\' => text.Append("\\\\"),
                < 32 or > 126 => text.Append('\\').Append(Convert.ToString(c, 8).PadLeft(3, '0')),
                _ => text.Append((char)c),
            };
        }

        return text.ToString();
    }
}
