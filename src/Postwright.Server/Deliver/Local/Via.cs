using System.Text;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// What a recipient came through (<see cref="Queue.EnvelopeRecipient.Via"/>): elements separated by blanks, each a letter,
/// <c>=</c> and a text with <c>%XX</c> for everything unusual: <c>a=</c> the address of an alias, <c>o=</c> the same where Postfix
/// would have made a new message (owner-alias, included file), <c>f=</c> the address of a user whose .forward it was, <c>l=</c> that
/// of an unknown user whom luser_relay replaced, and last, perhaps, <c>m=</c>: this recipient is that member (a command or file)
/// of what its address expands to. First, perhaps, stands <c>p=</c>, which the queue has put there and takes off again: this
/// recipient is to leave in a new message, whose sender follows in angle brackets unless it is that of the message. The queue gives it
/// back as it was; a forged one can skip expansions and pick members of an alias, and so order nothing that mail to the alias would not.
/// </summary>
internal readonly record struct Via(string Text)
{
    /// <summary>More steps than any sane configuration has; Postfix's limit on nested aliases.</summary>
    public const int StepLimit = 100;

    /// <summary>Longer than StepLimit sane names; what a broken queue sends is cut off here.</summary>
    public const int LengthLimit = 64 * 1024;

    /// <summary>The number of steps.</summary>
    public int Count => Text.Length == 0 ? 0 : Text.AsSpan().Count(' ') + 1;

    /// <summary>The member this recipient is; null when it is an address.</summary>
    public string? Member => Last('m');

    /// <summary>Whoever's .forward was the last step; null when it was something else.</summary>
    public string? LastForward => Last('f');

    /// <summary>
    /// What Delivered-To: headers show: the address this copy is for (the first of the aliases it came through since it was last
    /// forwarded; frozen_delivered_to), and those it was forwarded by, latest first.
    /// </summary>
    public (string? DeliveredTo, IReadOnlyList<string> ForwardedBy) Trace()
    {
        string? start = null;
        var forwarded = new List<string>();
        foreach (string element in WithoutMember.Elements())
        {
            start ??= Unescape(element[2..]);
            if (element[0] is 'f' or 'o')
            {
                forwarded.Insert(0, start);
                start = null;
            }
        }

        return (start, forwarded);
    }

    /// <summary>The last step's address, taken apart; null at the beginning.</summary>
    public RecipientParts? LastName(LocalOptions options)
        => Elements() is [.., var last] ? RecipientParts.Parse(Unescape(last[2..]), options) : null;

    /// <summary>True when a name was expanded on the way.</summary>
    public bool CameThrough(string name, LocalOptions options) => Elements()
        .Where(one => one[0] is 'a' or 'o')
        .Select(one => RecipientParts.Parse(Unescape(one[2..]), options))
        .Any(parts => parts.Local == name || parts.User == name);

    /// <summary>Without the member.</summary>
    public Via WithoutMember => Member is null ? this : new Via(Text[..Math.Max(0, Text.LastIndexOf(' '))]);

    /// <summary>True for a recipient that is to leave in a new message.</summary>
    public bool IsPart => Text.StartsWith("p=", StringComparison.Ordinal);

    /// <summary>The same, to leave in a new message with that sender; null for the sender of the message.</summary>
    public Via AsPart(string? newSender)
    {
        string part = Element('p', newSender is null ? "" : $"<{newSender}>");
        return new Via(Text.Length == 0 ? part : $"{part} {Text}");
    }

    /// <summary>Takes back what <see cref="AsPart"/> has added.</summary>
    public Via WithoutPart(out string? newSender)
    {
        int end = Text.IndexOf(' ');
        string sender = Unescape(end < 0 ? Text[2..] : Text[2..end]);
        newSender = sender.Length < 2 ? null : sender[1..^1];
        return new Via(end < 0 ? "" : Text[(end + 1)..]);
    }

    /// <summary>True when it came through this.</summary>
    public bool Has(char kind, string value)
    {
        string element = Element(kind, value);
        return Text.Length > 0 && Text.Split(' ').Contains(element, StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>True when it came through anything of a kind.</summary>
    public bool HasAny(char kind) => Elements().Any(one => one[0] == kind);

    /// <summary>One step more.</summary>
    public Via Add(char kind, string value) => new(Text.Length == 0 ? Element(kind, value) : $"{Text} {Element(kind, value)}");

    // What is no element at all was not written by us; it is passed over.
    private string[] Elements()
        => Text.Length == 0 ? [] : [.. Text.Split(' ').Where(one => one.Length >= 2 && one[1] == '=')];

    private string? Last(char kind)
    {
        int start = Text.LastIndexOf(' ') + 1;
        return Text.Length >= start + 2 && Text[start] == kind && Text[start + 1] == '=' ? Unescape(Text[(start + 2)..]) : null;
    }

    private static string Element(char kind, string value)
    {
        var text = new StringBuilder(value.Length + 2).Append(kind).Append('=');
        foreach (byte b in Encoding.UTF8.GetBytes(value))
        {
            _ = b is <= (byte)' ' or (byte)'%' or >= 0x7f ? text.Append('%').Append(b.ToString("X2", null)) : text.Append((char)b);
        }

        return text.ToString();
    }

    private static string Unescape(string text) => text.Contains('%') ? Uri.UnescapeDataString(text) : text;
}
