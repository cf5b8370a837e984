using System.Globalization;
using System.Net;
using System.Text;
using Postwright.Protocol.Smtp;
using Postwright.Server.Receive.Smtpd.Restrictions;

namespace Postwright.Server.Receive.Smtpd;

// XCLIENT: a trusted proxy says on whose behalf it speaks. Afterwards the session is as if that client had just connected.
internal sealed partial class SmtpdSession
{
    private const string Unavailable = "[UNAVAILABLE]";
    private const string TemporarilyUnavailable = "[TEMPUNAVAIL]";

    private async ValueTask<bool> XclientAsync(ReadOnlyMemory<byte> line)
    {
        if (InTransaction)
        {
            return await FailAsync("503 5.5.1 Error: MAIL transaction in progress");
        }

        if (_words.Count < 2)
        {
            return await FailAsync("501 5.5.4 Syntax: XCLIENT attribute=value...");
        }

        if (!_xclientAllowed)
        {
            return await FailAsync("550 5.7.0 Error: insufficient authorization");
        }

        SmtpdClient client = _state.Client;
        string? helo = null;
        string protocol = "SMTP";
        for (int i = 1; i < _words.Count; i++)
        {
            if (Attribute(SmtpPath.Decode(_words.Slice(line.Span, i)), ref client, ref helo, ref protocol) is { } complaint)
            {
                return await FailAsync(complaint);
            }
        }

        await BecomeAsync(client with
        {
            NameAndAddress = SmtpdClient.Combine(client.Name, client.Address, client.Port, _options.ClientPortLogging),
        }, helo, protocol);
        return true;
    }

    // The command counts as tried but not as done: the session that could have counted it begins anew.
    private async ValueTask BecomeAsync(SmtpdClient client, string? helo, string protocol)
    {
        EndTransaction();
        _succeeded[(int)SmtpVerb.Xclient]--;
        _state = new CheckState(_log) { Client = client, Helo = helo, Protocol = protocol, PipelinesWrongly = _state.PipelinesWrongly };
        _accessDenied = null;
        await LearnAboutClientAsync();
        await BannerAsync();
    }

    // One name=value; the complaint that refuses it, or null. Values are xtext.
    private static string? Attribute(string word, ref SmtpdClient client, ref string? helo, ref string protocol)
    {
        int equals = word.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            return "501 5.5.4 Error: attribute=value expected";
        }

        string name = word[..equals].ToUpperInvariant();
        string value = word[(equals + 1)..];
        if (value.Length > 255)
        {
            return "501 5.5.4 Error: attribute value too long";
        }

        bool missing = value is Unavailable or TemporarilyUnavailable;
        NameStatus status = value == TemporarilyUnavailable ? NameStatus.Temporary : missing ? NameStatus.Permanent : NameStatus.Ok;
        if (!missing && Xtext.TryDecode(Encoding.UTF8.GetBytes(value), out string decoded))
        {
            value = decoded;
        }

        string bad = $"501 5.5.4 Bad {name} syntax: {value}";
        switch (name)
        {
            case "NAME" when missing || HostNames.IsValid(value):
                client = client with { Name = missing ? "unknown" : value, NameStatus = status };
                return null;
            case "REVERSE_NAME" when missing || HostNames.IsValid(value):
                client = client with { ReverseName = missing ? "unknown" : value, ReverseStatus = status };
                return null;
            case "ADDR":
                return Address(value, missing, bad, ref client);
            case "PORT" when missing || ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _):
                client = client with { Port = missing ? "unknown" : value };
                return null;
            case "HELO":
                helo = missing ? null : Neuter(value);
                return null;
            case "PROTO" when value.ToUpperInvariant() is "SMTP" or "ESMTP":
                protocol = value.ToUpperInvariant();
                return null;
            case "LOGIN" when missing:
                return null;
            case "LOGIN":
                // Without SASL nobody can have logged in; taking the name would give rights that were not proved.
                return bad;
            case "DESTADDR" when missing || IsAddress(value):
            case "DESTPORT" when missing || ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _):
                return null;
            case "NAME" or "REVERSE_NAME" or "PORT" or "PROTO" or "DESTADDR" or "DESTPORT":
                return bad;
            default:
                return $"501 5.5.4 Bad XCLIENT attribute name: {name}";
        }
    }

    private static string? Address(string value, bool missing, string bad, ref SmtpdClient client)
    {
        if (missing)
        {
            client = client with { Address = "unknown", IpAddress = null };
            return null;
        }

        string plain = value.StartsWith("IPv6:", StringComparison.OrdinalIgnoreCase) ? value[5..] : value;
        if (!HostNames.IsValidAddress(plain, out IPAddress? address))
        {
            return bad;
        }

        client = client with { Address = plain.ToLowerInvariant(), IpAddress = address };
        return null;
    }

    private static bool IsAddress(string value) =>
        HostNames.IsValidAddress(value.StartsWith("IPv6:", StringComparison.OrdinalIgnoreCase) ? value[5..] : value, out _);
}
