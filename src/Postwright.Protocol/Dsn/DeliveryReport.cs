using System.Text;
using Postwright.Protocol.Mail;

namespace Postwright.Protocol.Dsn;

// A notice is multipart/report (RFC 6522) of three parts: text for people, message/delivery-status (RFC 3464) for programs,
// and the message or its headers. This file writes everything around the third part's bytes; the caller puts those between
// Head and Tail, so that a large message is never in memory for its notice. Lines end with CRLF. Texts from other servers
// are folded, and their control characters replaced, so that no reply can add a line of its own.

/// <summary>What a notice tells.</summary>
public enum ReportKind
{
    /// <summary>Given up: Action is failed.</summary>
    Failure,

    /// <summary>Still being tried: Action is delayed.</summary>
    Delay,

    /// <summary>Delivered, relayed or expanded, as was asked for with NOTIFY=SUCCESS.</summary>
    Success,
}

/// <summary>One recipient in a notice (RFC 3464, 2.3).</summary>
/// <param name="Address">Final recipient, internal form.</param>
/// <param name="OriginalAddress">As it was given to us, internal form; empty if that is not known.</param>
/// <param name="DsnOriginalRecipient">ORCPT, <c>type;address</c>; empty to make one of the original address.</param>
/// <param name="Action">failed, delayed, delivered, relayed or expanded.</param>
/// <param name="Status">Enhanced status code.</param>
/// <param name="Reason">What happened, for people.</param>
/// <param name="RemoteMta">The server that said so; null if none did.</param>
/// <param name="Diagnostic"><c>smtp; 550 ...</c>; null to repeat the reason under our own name.</param>
public sealed record ReportedRecipient(
    string Address, string OriginalAddress, string DsnOriginalRecipient, string Action, string Status, string Reason, string? RemoteMta, string? Diagnostic);

/// <summary>A notice's contents but for the returned message.</summary>
public sealed record DeliveryReport
{
    private const int TextWidth = 79;
    private const int Indent = 4;

    /// <summary>What it tells.</summary>
    public required ReportKind Kind { get; init; }

    /// <summary>True for postmaster's copy: no introduction, another subject.</summary>
    public bool IsPostmasterCopy { get; init; }

    /// <summary>The boundary between the parts.</summary>
    public required string Boundary { get; init; }

    /// <summary>The host that reports (myhostname).</summary>
    public required string ReportingHost { get; init; }

    /// <summary>mail_name, in X- fields.</summary>
    public required string MailName { get; init; }

    /// <summary>The notice's own Message-Id, with its angle brackets.</summary>
    public required string MessageId { get; init; }

    /// <summary>The returned message's queue ID.</summary>
    public required string QueueId { get; init; }

    /// <summary>The returned message's sender, internal form; empty for the null sender.</summary>
    public required string Sender { get; init; }

    /// <summary>ENVID; empty if none.</summary>
    public string EnvelopeId { get; init; } = "";

    /// <summary>Arrival-Date.</summary>
    public required string ArrivalDate { get; init; }

    /// <summary>Will-Retry-Until of a delay; empty otherwise.</summary>
    public string RetryUntil { get; init; } = "";

    /// <summary>The introduction, lines ended by LF; empty for none, and in postmaster's copy left out.</summary>
    public ReadOnlyMemory<byte> Introduction { get; init; }

    /// <summary>The introduction's character set; a superset of ASCII.</summary>
    public string Charset { get; init; } = "utf-8";

    /// <summary>True when the message declared SMTPUTF8: the types of RFC 6533.</summary>
    public bool IsInternational { get; init; }

    /// <summary>True when only headers are returned.</summary>
    public bool HeadersOnly { get; init; }

    /// <summary>The recipients, at least one.</summary>
    public required IReadOnlyList<ReportedRecipient> Recipients { get; init; }

    /// <summary>The null sender has a name in notices.</summary>
    private string ShownSender => Sender.Length > 0 ? Sender : "MAILER-DAEMON@" + ReportingHost;

    /// <summary>The header fields that make the message a report, and everything up to the third part's first byte.</summary>
    public byte[] Head()
    {
        StringBuilder text = new(2048);
        Line(text, "MIME-Version: 1.0");
        Line(text, "Content-Type: multipart/report; report-type=delivery-status;");
        Line(text, $"\tboundary=\"{Boundary}\"");
        Line(text, "Content-Transfer-Encoding: 8bit");
        Line(text, $"Message-Id: {MessageId}");
        Line(text, "");
        Line(text, "This is a MIME-encapsulated message.");
        Part(text, "Notification", $"text/plain; charset={Charset}", isEightBit: true);
        byte[] before = Encoding.UTF8.GetBytes(text.ToString());
        text.Clear();
        WriteRecipients(text);
        WriteStatus(text);
        WriteThirdHead(text);
        return [.. before, .. IntroductionLines(), .. Encoding.UTF8.GetBytes(text.ToString())];
    }

    /// <summary>What follows the third part.</summary>
    public byte[] Tail() => Encoding.UTF8.GetBytes($"\r\n--{Boundary}--\r\n");

    private List<byte> IntroductionLines()
    {
        var lines = new List<byte>(Introduction.Length + 64);
        ReadOnlySpan<byte> rest = IsPostmasterCopy ? [] : Introduction.Span.TrimEnd((byte)'\n');
        foreach (byte value in rest)
        {
            if (value == '\n')
            {
                lines.Add((byte)'\r');
            }

            // The set is the administrator's affair, a bare CR or NUL is not.
            lines.Add(value is (byte)'\r' or 0 ? (byte)'?' : value);
        }

        if (rest.Length > 0)
        {
            lines.AddRange("\r\n"u8);
        }

        return lines;
    }

    private void WriteRecipients(StringBuilder text)
    {
        foreach (ReportedRecipient recipient in Recipients)
        {
            string address = AddressText.ToExternal(recipient.Address);
            bool expanded = recipient.OriginalAddress.Length > 0
                && !string.Equals(recipient.Address, recipient.OriginalAddress, StringComparison.OrdinalIgnoreCase);
            string origin = expanded ? $" (expanded from <{AddressText.ToExternal(recipient.OriginalAddress)}>)" : "";
            Line(text, "");
            Fold(text, $"<{address}>{origin}: {recipient.Reason}");
        }

        Line(text, "");
    }

    private void WriteStatus(StringBuilder text)
    {
        Part(text, "Delivery report", IsInternational ? "message/global-delivery-status" : "message/delivery-status", IsInternational);
        Line(text, $"Reporting-MTA: dns; {ReportingHost}");
        if (EnvelopeId.Length > 0)
        {
            Line(text, $"Original-Envelope-Id: {EnvelopeId}");
        }

        Line(text, $"X-{MailName}-Queue-ID: {QueueId}");
        Line(text, $"X-{MailName}-Sender: {TypeOf(ShownSender)}; {AddressText.ToExternal(ShownSender)}");
        Line(text, $"Arrival-Date: {ArrivalDate}");
        foreach (ReportedRecipient recipient in Recipients)
        {
            WriteRecipient(text, recipient);
        }

        Line(text, "");
    }

    private void WriteRecipient(StringBuilder text, ReportedRecipient recipient)
    {
        Line(text, "");
        Line(text, $"Final-Recipient: {TypeOf(recipient.Address)}; {AddressText.ToExternal(recipient.Address)}");
        if (recipient.DsnOriginalRecipient.Length > 0)
        {
            Line(text, $"Original-Recipient: {recipient.DsnOriginalRecipient}");
        }
        else if (recipient.OriginalAddress.Length > 0)
        {
            Line(text, $"Original-Recipient: rfc822;{AddressText.ToExternal(recipient.OriginalAddress)}");
        }

        Line(text, $"Action: {recipient.Action}");
        Line(text, $"Status: {recipient.Status}");
        if (recipient.RemoteMta is { Length: > 0 } remote)
        {
            Line(text, $"Remote-MTA: dns; {remote}");
        }

        Fold(text, $"Diagnostic-Code: {recipient.Diagnostic ?? $"X-{MailName}; {recipient.Reason}"}");
        if (RetryUntil.Length > 0)
        {
            Line(text, $"Will-Retry-Until: {RetryUntil}");
        }
    }

    private void WriteThirdHead(StringBuilder text)
    {
        string what = Kind == ReportKind.Success ? "Message" : "Undelivered Message";
        string type = (HeadersOnly, IsInternational) switch
        {
            (true, false) => "text/rfc822-headers",
            (true, true) => "message/global-headers",
            (false, false) => "message/rfc822",
            (false, true) => "message/global",
        };
        Part(text, HeadersOnly ? what + " Headers" : what, type, isEightBit: true);
        Line(text, $"Return-Path: <{AddressText.ToExternal(ShownSender)}>");
    }

    /// <summary>A part's boundary, header fields and empty line; the line before the boundary was ended by the caller.</summary>
    private void Part(StringBuilder text, string description, string type, bool isEightBit)
    {
        if (description == "Notification")
        {
            Line(text, "");
        }

        Line(text, $"--{Boundary}");
        Line(text, $"Content-Description: {description}");
        Line(text, $"Content-Type: {type}");
        if (isEightBit)
        {
            Line(text, "Content-Transfer-Encoding: 8bit");
        }

        Line(text, "");
    }

    private static string TypeOf(string address) => System.Text.Ascii.IsValid(address) ? "rfc822" : "utf-8";

    /// <summary>Writes a text in lines of at most 79 characters where it has blanks, the second and later ones indented.</summary>
    internal static void Fold(StringBuilder text, string content)
    {
        ReadOnlySpan<char> rest = content;
        int width = TextWidth;
        while (rest.Length > width)
        {
            int cut = rest[..(width + 1)].LastIndexOfAny(' ', '\t');
            if (cut <= 0)
            {
                int next = rest[width..].IndexOfAny(' ', '\t');
                if (next < 0)
                {
                    break;
                }

                cut = width + next;
            }

            Clean(text, rest[..cut].TrimEnd());
            text.Append("\r\n").Append(' ', Indent);
            rest = rest[cut..].TrimStart();
            width = TextWidth - Indent;
        }

        Clean(text, rest);
        text.Append("\r\n");
    }

    private static void Line(StringBuilder text, string content)
    {
        Clean(text, content);
        text.Append("\r\n");
    }

    private static void Clean(StringBuilder text, ReadOnlySpan<char> content)
    {
        foreach (char c in content)
        {
            text.Append(c is '\t' or >= ' ' and not '\x7f' ? c : '?');
        }
    }
}
