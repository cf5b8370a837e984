using System.Globalization;
using System.Text;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Records;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// sendmail -bs: an SMTP session (RFC 5321) on standard input and output, whose messages go through postdrop into the maildrop
/// directory, so that it works while the mail system is down. There is no access control here: whoever can run it can run
/// sendmail too, and postdrop decides who may. Lines may end in LF alone, as programs that speak to a pipe end them.
/// </summary>
internal sealed class StandaloneSession(MailConfiguration configuration, CommandMessages messages, Stream input, Stream output)
{
    private const string UnknownCommand = "500 5.5.2 Error: command not recognized";

    /// <summary>As smtpd's hard error limit: a peer that makes so many errors in a row is no mail program.</summary>
    private const int ErrorLimit = 20;

    private readonly InputLines _lines = new(input, configuration.GetInt("line_length_limit"));
    private readonly int _recipientLimit = configuration.GetInt("smtpd_recipient_limit");
    private readonly long _sizeLimit = configuration.GetLong("message_size_limit");
    private readonly string _host = configuration.GetString("myhostname");
    private readonly List<Recipient> _recipients = [];
    private MailCommand? _mail;
    private string _helo = "";
    private bool _extended;
    private int _errors;

    private readonly record struct Recipient(string Address, int Notify, string Original);

    private sealed record MailCommand(string Sender, string EnvelopeId, string Return, string Encoding);

    /// <summary>Speaks until QUIT or the end of the input.</summary>
    /// <returns>The exit status.</returns>
    public int Run()
    {
        try
        {
            Reply($"220 {configuration.GetString("smtpd_banner")}");
            while (ReadLine() is { } line)
            {
                string[] words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
                string verb = words[0].ToUpperInvariant();
                if (verb == "QUIT")
                {
                    Reply("221 2.0.0 Bye");
                    return 0;
                }

                string reply = Serve(verb, words.Length > 1 ? words[1] : "");
                Reply(reply);
                _errors = reply[0] is '2' or '3' ? 0 : _errors + 1;
                if (_errors >= ErrorLimit)
                {
                    Reply($"421 4.7.0 {_host} Error: too many errors");
                    return 0;
                }
            }

            return 0;
        }
        catch (IOException)
        {
            // The program at the other end is gone.
            return 0;
        }
    }

    private string Serve(string verb, string argument)
    {
        switch (verb)
        {
            case "HELO" or "EHLO" when argument.Length == 0:
                return $"501 Syntax: {verb} hostname";
            case "HELO" or "EHLO":
                Reset();
                (_helo, _extended) = (argument.Split(' ')[0], verb == "EHLO");
                return _extended ? Greeting() : $"250 {_host}";
            case "MAIL":
                return Mail(argument);
            case "RCPT":
                return Rcpt(argument);
            case "DATA":
                return Data(argument);
            case "RSET":
                Reset();
                return "250 2.0.0 Ok";
            case "NOOP":
                return "250 2.0.0 Ok";
            case "VRFY":
                return argument.Length == 0 ? "501 5.5.4 Syntax: VRFY address" : $"252 2.0.0 {argument}";
            case "ETRN":
                messages.Warning("do not use ETRN in \"sendmail -bs\" mode");
                return "458 Unable to queue messages";
            default:
                return UnknownCommand;
        }
    }

    private string Greeting() =>
        $"250-{_host}\r\n250-PIPELINING\r\n250-SIZE{(_sizeLimit > 0 ? " " + _sizeLimit.ToString(CultureInfo.InvariantCulture) : "")}\r\n250-VRFY\r\n250-ETRN\r\n"
        + "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN";

    private string Mail(string argument)
    {
        if (_mail is not null)
        {
            return "503 5.5.1 Error: nested MAIL command";
        }

        if (Path(argument, "FROM:", out string? sender, out string[] parameters) is { } error)
        {
            return error == "" ? "501 5.5.4 Syntax: MAIL FROM:<address>" : error;
        }

        var mail = new MailCommand(sender!, "", "", "");
        foreach (string parameter in parameters)
        {
            string value = parameter.Contains('=') ? parameter[(parameter.IndexOf('=', StringComparison.Ordinal) + 1)..] : "";
            switch (parameter.Split('=')[0].ToUpperInvariant())
            {
                case "SIZE" when long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long size):
                    if (_sizeLimit > 0 && size > _sizeLimit)
                    {
                        return "552 5.3.4 Message size exceeds fixed limit";
                    }

                    break;
                case "BODY" when value.ToUpperInvariant() is "7BIT" or "8BITMIME":
                    mail = mail with { Encoding = value.StartsWith('7') ? "7bit" : "8bit" };
                    break;
                case "RET" when value.ToUpperInvariant() is "FULL" or "HDRS":
                    mail = mail with { Return = string.Equals(value, "FULL", StringComparison.OrdinalIgnoreCase) ? "1" : "2" };
                    break;
                case "ENVID" when Decoded(value) is { } id:
                    mail = mail with { EnvelopeId = id };
                    break;
                default:
                    return "555 5.5.4 Unsupported option: " + parameter;
            }
        }

        _mail = mail;
        return "250 2.1.0 Ok";
    }

    private string Rcpt(string argument)
    {
        if (_mail is null)
        {
            return "503 5.5.1 Error: need MAIL command";
        }

        if (Path(argument, "TO:", out string? address, out string[] parameters) is { } error)
        {
            return error == "" ? "501 5.5.4 Syntax: RCPT TO:<address>" : error;
        }

        if (address!.Length == 0)
        {
            return "501 5.1.3 Bad recipient address syntax";
        }

        if (_recipients.Count >= _recipientLimit)
        {
            return "452 4.5.3 Error: too many recipients";
        }

        var recipient = new Recipient(address, 0, "");
        foreach (string parameter in parameters)
        {
            string value = parameter.Contains('=') ? parameter[(parameter.IndexOf('=', StringComparison.Ordinal) + 1)..] : "";
            switch (parameter.Split('=')[0].ToUpperInvariant())
            {
                case "NOTIFY" when SendmailOptions.NotifyBits(value, out _) is var bits and not 0:
                    recipient = recipient with { Notify = bits };
                    break;
                case "ORCPT" when value.IndexOf(';', StringComparison.Ordinal) is var semicolon and > 0 && Decoded(value[(semicolon + 1)..]) is { } original:
                    recipient = recipient with { Original = value[..(semicolon + 1)] + original };
                    break;
                default:
                    return "555 5.5.4 Unsupported option: " + parameter;
            }
        }

        _recipients.Add(recipient);
        return "250 2.1.5 Ok";
    }

    private string Data(string argument)
    {
        if (_recipients.Count == 0)
        {
            return _mail is null ? "503 5.5.1 Error: need RCPT command" : "554 5.5.1 Error: no valid recipients";
        }

        if (argument.Length > 0)
        {
            return "501 5.5.4 Syntax: DATA";
        }

        using PostdropClient? postdrop = PostdropClient.Start(configuration, messages, out _);
        if (postdrop is null)
        {
            return "451 4.3.0 Error: queue file write error";
        }

        Reply("354 End data with <CR><LF>.<CR><LF>");
        bool complete = TryWrite(postdrop);
        string? why = complete ? postdrop.Finish() : "queue file write error";
        Reset();
        return why switch
        {
            null => $"250 2.0.0 Ok: queued as {postdrop.QueueId}",
            "message file too big" => "552 5.3.4 Error: message file too big",
            _ => $"451 4.3.0 Error: {why}",
        };
    }

    /// <summary>False if postdrop ended early; the message is then read to its end all the same.</summary>
    private bool TryWrite(PostdropClient postdrop)
    {
        bool alive = TryDo(() => WriteEnvelope(postdrop.Records, postdrop.QueueId));
        byte previous = 0;
        for (byte type; (type = _lines.Read()) != 0; previous = type)
        {
            if (previous == 0 && alive && _lines.Text is [(byte)' ' or (byte)'\t', ..])
            {
                // It must not become a part of our Received: header.
                alive = TryDo(() => postdrop.Records.Write(RecordType.Line));
            }

            ReadOnlySpan<byte> text = type == RecordType.Line && _lines.Text.EndsWith("\r"u8) ? _lines.Text[..^1] : _lines.Text;
            if (previous != RecordType.Continued && text.StartsWith("."u8))
            {
                if (text.Length == 1 && type == RecordType.Line)
                {
                    return alive && TryDo(() => WriteEnd(postdrop.Records));
                }

                text = text[1..];
            }

            byte[] line = alive ? text.ToArray() : [];
            alive = alive && TryDo(() => postdrop.Records.Write(type, line));
        }

        // No final dot: the client went away, and so does its message.
        throw new IOException("lost connection after DATA");
    }

    private static bool TryDo(Action write)
    {
        try
        {
            write();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private void WriteEnvelope(RecordWriter records, string queueId)
    {
        MailCommand mail = _mail!;
        Attribute(records, "envelope_id", mail.EnvelopeId);
        Attribute(records, "ret_flags", mail.Return);
        Attribute(records, "rewrite_context", "local");
        records.WriteBytes(RecordType.Sender, mail.Sender);
        Attribute(records, "encoding", mail.Encoding);
        foreach (Recipient recipient in _recipients)
        {
            Attribute(records, "dsn_orig_rcpt", recipient.Original);
            Attribute(records, "notify_flags", recipient.Notify == 0 ? "" : recipient.Notify.ToString(CultureInfo.InvariantCulture));
            records.WriteBytes(RecordType.Recipient, recipient.Address);
        }

        records.Write(RecordType.Message);
        string date = MailDate.Format(TimeProvider.System.GetUtcNow(), TimeZoneInfo.Local);
        records.WriteBytes(RecordType.Line, $"Received: from {_helo} (localhost [127.0.0.1])");
        records.WriteBytes(RecordType.Line, $"\tby {_host} ({configuration.GetString("mail_name")}) with {(_extended ? "ESMTP" : "SMTP")} id {queueId}{(_recipients.Count == 1 ? "" : $"; {date}")}");
        if (_recipients.Count == 1)
        {
            records.WriteBytes(RecordType.Line, $"\tfor <{AddressText.ToExternal(_recipients[0].Address)}>; {date}");
        }
    }

    private static void WriteEnd(RecordWriter records)
    {
        records.Write(RecordType.Extracted);
        records.Write(RecordType.End);
    }

    private static void Attribute(RecordWriter records, string name, string value)
    {
        if (value.Length > 0)
        {
            records.WriteBytes(RecordType.Attribute, $"{name}={value}");
        }
    }

    /// <summary>An address and its parameters; empty for a syntax error, else a reply, or null if all is well.</summary>
    private static string? Path(string argument, string keyword, out string? address, out string[] parameters)
    {
        (address, parameters) = (null, []);
        if (!argument.StartsWith(keyword, StringComparison.OrdinalIgnoreCase))
        {
            return "";
        }

        string rest = argument[keyword.Length..].TrimStart();
        int end = EndOfPath(rest);
        if (end < 0)
        {
            return "";
        }

        IReadOnlyList<string> addresses = AddressList.Addresses(rest[..end]);
        if (addresses.Count > 1)
        {
            return keyword == "TO:" ? "501 5.1.3 Bad recipient address syntax" : "501 5.1.7 Bad sender address syntax";
        }

        address = addresses.Count == 0 ? "" : addresses[0];
        parameters = rest[end..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return null;
    }

    /// <summary>Where the path ends: after its bracket, which may stand inside quotes, or at the first blank.</summary>
    private static int EndOfPath(string text)
    {
        if (!text.StartsWith('<'))
        {
            int blank = text.IndexOf(' ', StringComparison.Ordinal);
            return text.Length == 0 ? -1 : blank < 0 ? text.Length : blank;
        }

        bool quoted = false;
        for (int i = 1; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '\\':
                    i++;
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case '>' when !quoted:
                    return i + 1;
            }
        }

        return -1;
    }

    /// <summary>xtext (RFC 3461, 4), decoded; null for what is none.</summary>
    private static string? Decoded(string text) =>
        Xtext.TryDecode(Encoding.Latin1.GetBytes(text), out string decoded) && decoded.Length > 0 ? decoded : null;

    /// <summary>A command line as characters of one byte; null at the end of the input. One that is cut is answered as unknown.</summary>
    private string? ReadLine()
    {
        byte type = _lines.Read();
        if (type == 0)
        {
            return null;
        }

        string line = Encoding.Latin1.GetString(_lines.Text).TrimEnd('\r', ' ');
        while (type == RecordType.Continued && (type = _lines.Read()) != 0)
        {
            line = "\0";
        }

        return line;
    }

    private void Reset()
    {
        _mail = null;
        _recipients.Clear();
    }

    private void Reply(string text)
    {
        output.Write(Encoding.Latin1.GetBytes(text + "\r\n"));
        output.Flush();
    }
}
