using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Protocol.Mail;

namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>What a restriction says.</summary>
internal enum Verdict : byte
{
    /// <summary>Nothing: the next restriction is asked.</summary>
    Dunno,

    /// <summary>The list ends here, permitting.</summary>
    Permit,

    /// <summary>The command is refused with <see cref="CheckState.Reply"/>.</summary>
    Reject,
}

/// <summary>
/// What restrictions look at and what they leave behind, for one session. The session fills in the first part as it learns
/// more; the second belongs to <see cref="AccessPolicy"/> and its parts.
/// </summary>
internal sealed class CheckState(MailLog log)
{
    public MailLog Log { get; } = log;

    public required SmtpdClient Client { get; set; }

    /// <summary>null before HELO.</summary>
    public string? Helo { get; set; }

    /// <summary>Internal form; null outside of a transaction.</summary>
    public string? Sender { get; set; }

    /// <summary>The recipient at RCPT, the only one after it, or null.</summary>
    public string? Recipient { get; set; }

    public string Protocol { get; set; } = "SMTP";

    /// <summary>The command, as log lines name it.</summary>
    public string Where { get; set; } = "CONNECT";

    /// <summary>null before the first recipient was accepted.</summary>
    public string? QueueId { get; set; }

    /// <summary>True when the client sent beyond the command that may not be followed by anything.</summary>
    public bool PipelinesWrongly { get; set; }

    /// <summary>HOLD was said.</summary>
    public bool Hold { get; set; }

    /// <summary>DISCARD was said.</summary>
    public bool Discard { get; set; }

    /// <summary>HANGUP was said, or a reply that begins with 421 or 521.</summary>
    public bool HangUp { get; set; }

    /// <summary>The reply of the last <see cref="Verdict.Reject"/>.</summary>
    public string? Reply { get; set; }

    /// <summary>A doubt that must keep mail from being accepted: code, status and text of the deferral.</summary>
    public Refusal? DeferIfPermit { get; set; }

    /// <summary>A doubt that must keep mail from being refused for good.</summary>
    public Refusal? DeferIfReject { get; set; }

    public Refusal? DeferAfterClient { get; set; }

    public Refusal? DeferAfterHelo { get; set; }

    public Refusal? DeferAfterSender { get; set; }

    /// <summary>Refusals are only logged while this is set (warn_if_reject).</summary>
    public bool WarnsOnly { get; set; }

    public bool RecipientWasListed { get; set; }

    public bool SenderWasListed { get; set; }

    /// <summary>Whether the client is in mynetworks; asked once a session, and again after XCLIENT.</summary>
    public MatchResult? InMyNetworks { get; set; }

    /// <summary>Logs in the shape that log readers know: <c>NOQUEUE: reject: RCPT from host[addr]: text; from=&lt;&gt; ...</c>.</summary>
    public void LogEvent(string what, string text)
    {
        string from = Sender is null ? "" : $" from=<{AddressText.ToExternal(Sender)}>";
        string to = Recipient is null ? "" : $" to=<{AddressText.ToExternal(Recipient)}>";
        string helo = Helo is null ? "" : $" helo=<{Helo}>";
        Log.Info($"{QueueId ?? "NOQUEUE"}: {what}: {Where} from {Client.NameAndAddress}: {text};{from}{to} proto={Protocol}{helo}");
    }
}

/// <summary>A refusal that is not yet said.</summary>
internal sealed record Refusal(int Code, string Dsn, string Text);
