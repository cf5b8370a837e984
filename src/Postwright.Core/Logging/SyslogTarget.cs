using System.Net.Sockets;
using System.Text;

namespace Postwright.Core.Logging;

/// <summary>
/// syslog over the datagram socket <c>/dev/log</c>: <c>&lt;22&gt;Nov 29 11:48:13 postfix/smtpd[7]: text</c> (RFC 3164, 4.1; the
/// host is added by the receiver). A missing or restarted syslog daemon is tried again with the next lines.
/// </summary>
internal sealed class SyslogTarget(string path, int facility, TimeProvider clock) : LogTarget
{
    // A datagram that cannot be sent within this time is lost: the daemon hangs.
    private const int SendMilliseconds = 1000;
    private readonly LogTimestamp _timestamp = new(clock);
    private Socket? _socket;

    /// <inheritdoc />
    public override int Begin(LogLevel level, Span<byte> buffer)
    {
        // info 6, warning 4, err 3, crit 2
        int severity = level switch
        {
            LogLevel.Info => 6,
            LogLevel.Warning => 4,
            LogLevel.Error => 3,
            _ => 2,
        };
        int at = Encoding.ASCII.GetBytes($"<{(facility * 8) + severity}>", buffer);
        _timestamp.Write(buffer[at..]);
        return at + LogTimestamp.Length;
    }

    /// <inheritdoc />
    public override bool TryWrite(ReadOnlySpan<byte> lines)
    {
        bool all = true;
        while (!lines.IsEmpty)
        {
            int end = lines.IndexOf((byte)'\n');
            all &= Send(lines[..end]) || Send(lines[..end]);
            lines = lines[(end + 1)..];
        }

        return all;
    }

    /// <summary>The number of a facility's name, such as mail or local3; null if there is none of that name.</summary>
    public static int? FacilityOf(string name) => name switch
    {
        "kern" => 0,
        "user" => 1,
        "mail" => 2,
        "daemon" => 3,
        "auth" => 4,
        "syslog" => 5,
        "lpr" => 6,
        "news" => 7,
        "uucp" => 8,
        "cron" => 9,
        "authpriv" => 10,
        "ftp" => 11,
        ['l', 'o', 'c', 'a', 'l', >= '0' and <= '7' and var digit] => 16 + digit - '0',
        _ => null,
    };

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _socket?.Dispose();
        base.Dispose(disposing);
    }

    private bool Send(ReadOnlySpan<byte> line)
    {
        try
        {
            if (_socket is null)
            {
                _socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { SendTimeout = SendMilliseconds };
                _socket.Connect(new UnixDomainSocketEndPoint(path));
            }

            _socket.Send(line);
            return true;
        }
        catch (SocketException)
        {
            _socket?.Dispose();
            _socket = null;
            return false;
        }
    }
}
