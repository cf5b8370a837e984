using System.Text;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Protocol.Mail;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// sendmail's main task: a message from standard input, by way of postdrop, into the maildrop directory. It works whether
/// the mail system runs or not. Returning 0 means that the message is on disk.
/// </summary>
internal sealed class MessageSubmission(MailConfiguration configuration, SendmailOptions options, CommandMessages messages)
{
    private readonly uint _uid = ProcessIdentity.RealUser;
    private readonly int _lineLimit = configuration.GetInt("line_length_limit");
    private string _sender = "";
    private int _recipients;

    /// <summary>Takes the message.</summary>
    /// <returns>The exit status.</returns>
    public int Run(Stream input)
    {
        var host = new SystemHost(TimeProvider.System);
        HostLookup known = host.FindUser(_uid, out UserEntry? user);
        if (options.Sender is null && known != HostLookup.Found)
        {
            return messages.Fatal($"no login name found for user ID {_uid}");
        }

        _sender = SenderAddress(user);
        using PostdropClient? postdrop = PostdropClient.Start(configuration, messages, out string command);
        if (postdrop is null)
        {
            return messages.Fatal($"{_sender}({_uid}): unable to execute {command}: Success");
        }

        try
        {
            string? trouble = WriteMessage(postdrop.Records, input, user);
            if (trouble is not null)
            {
                return messages.Fatal(trouble);
            }
        }
        catch (IOException) when (postdrop.Finish() is { } why)
        {
            return messages.Fatal($"{_sender}({_uid}): {why}");
        }

        if (postdrop.Finish() is { } failure)
        {
            return messages.Fatal($"{_sender}({_uid}): {failure}");
        }

        if (options.Verbosity == 1)
        {
            Console.Out.WriteLine($"Mail Delivery Status Report will be mailed to <{_sender}>.");
        }

        return 0;
    }

    /// <summary>An argument's bytes, each as a character: what came in goes out, whatever its encoding.</summary>
    private static string Bytes(string argument) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(argument));

    private string SenderAddress(UserEntry? user)
    {
        if (options.Sender is null)
        {
            return Bytes(user!.Name);
        }

        IReadOnlyList<string> addresses = AddressList.Addresses(Bytes(options.Sender));
        if (addresses.Count > 1)
        {
            messages.Warning($"-f option specified malformed sender: {options.Sender}");
        }

        return addresses.Count > 0 ? addresses[0] : "";
    }

    /// <summary>-F, else NAME, else the name in the password file, where <c>&amp;</c> stands for the login name.</summary>
    private string? FullName(UserEntry? user)
    {
        if (options.FullName is not null || user is null)
        {
            return options.FullName;
        }

        if (Environment.GetEnvironmentVariable("NAME") is { } name)
        {
            return name;
        }

        string gecos = user.Gecos.Split(',', 2)[0];
        string login = user.Name.Length > 0 ? char.ToUpperInvariant(user.Name[0]) + user.Name[1..] : "";
        return gecos.Replace("&", login, StringComparison.Ordinal);
    }

    private string? WriteMessage(RecordWriter records, Stream input, UserEntry? user)
    {
        WriteEnvelope(records, user);
        records.Write(RecordType.Message);
        HeaderRecipients? headers = options.RecipientsFromHeaders
            ? new HeaderRecipients(records, _lineLimit, configuration.GetInt("header_size_limit"))
            : null;
        if (CopyContent(records, input, headers) is { } trouble)
        {
            return trouble;
        }

        records.Write(RecordType.Extracted);
        foreach (string recipient in headers?.Found ?? [])
        {
            WriteRecipient(records, recipient);
        }

        if (_recipients == 0)
        {
            return options.RecipientsFromHeaders
                ? $"{_sender}({_uid}): No recipient addresses found in message header"
                : $"{_sender}({_uid}): Recipient addresses must be specified on the command line or via the -t option";
        }

        records.Write(RecordType.End);
        return null;
    }

    private void WriteEnvelope(RecordWriter records, UserEntry? user)
    {
        if (options.EnvelopeId is not null)
        {
            WriteAttribute(records, "envelope_id", options.EnvelopeId);
        }

        if (options.Return != 0)
        {
            WriteAttribute(records, "ret_flags", $"{options.Return}");
        }

        WriteAttribute(records, "rewrite_context", options.IsGateway ? "remote" : "local");
        if (FullName(user) is { } fullName)
        {
            records.WriteUtf8(RecordType.FullName, fullName);
        }

        records.WriteBytes(RecordType.Sender, _sender);
        if (options.Encoding is not null)
        {
            WriteAttribute(records, "encoding", options.Encoding);
        }

        if (options.Verbosity == 1)
        {
            // A report of the first delivery attempt is wanted.
            WriteAttribute(records, "trace_flags", "1024");
        }

        foreach (string operand in options.Operands)
        {
            IReadOnlyList<string> addresses = AddressList.Addresses(Bytes(operand));
            foreach (string address in addresses)
            {
                WriteRecipient(records, address);
            }

            if (addresses.Count == 0)
            {
                records.Write(RecordType.Recipient);
                _recipients++;
            }
        }
    }

    private static void WriteAttribute(RecordWriter records, string name, string value) => records.WriteUtf8(RecordType.Attribute, $"{name}={value}");

    private void WriteRecipient(RecordWriter records, string address)
    {
        if (options.Notify != 0)
        {
            WriteAttribute(records, "notify_flags", $"{options.Notify}");
        }

        records.WriteBytes(RecordType.Recipient, address);
        _recipients++;
    }

    private string? CopyContent(RecordWriter records, Stream input, HeaderRecipients? headers)
    {
        var lines = new InputLines(input, _lineLimit);
        string fix = configuration.GetString("sendmail_fix_line_endings");
        if (fix is not ("always" or "strict" or "never"))
        {
            return $"invalid sendmail_fix_line_endings value: {fix}";
        }

        bool? stripCarriageReturn = fix switch { "always" => true, "never" => false, _ => null };
        bool atStart = true;
        byte previous = 0;
        for (byte type; (type = lines.Read()) != 0; previous = type)
        {
            ReadOnlySpan<byte> text = lines.Text;
            bool wholeLine = type == RecordType.Line;
            if (wholeLine)
            {
                // "strict": the first line says whether this message's lines end in CRLF.
                stripCarriageReturn ??= text.EndsWith("\r"u8);
            }

            if (atStart && wholeLine && text.TrimStart((byte)'>').StartsWith("From "u8))
            {
                continue;
            }

            atStart = false;
            if (wholeLine && stripCarriageReturn == true)
            {
                text = text.TrimEnd((byte)'\r');
            }

            if (options.DotEndsInput && previous != RecordType.Continued && text.SequenceEqual("."u8))
            {
                break;
            }

            if (headers is null)
            {
                records.Write(type, text);
            }
            else if (!headers.Take(type, text))
            {
                return $"{_sender}({_uid}): unable to extract recipients: message header length exceeds safety limit";
            }
        }

        headers?.End();
        return null;
    }
}
