using System.Text;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// What a recipient came through (<see cref="Queue.EnvelopeRecipient.Via"/>): elements separated by blanks, each a letter,
/// <c>=</c> and a text with <c>%XX</c> for everything unusual: <c>a=</c> an alias's name, <c>f=</c> the address of a user whose
/// .forward it was, <c>l=</c> luser_relay, and last, perhaps, <c>m=</c>: this recipient is that member (a command or file) of
/// what its address expands to. The queue gives it back as it was; a forged one can skip expansions and pick members of an
/// alias, and so order nothing that mail to the alias would not.
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

    /// <summary>The users whose .forward files it came through, latest first.</summary>
    public IReadOnlyList<string> Forwards => Text.Length == 0
        ? []
        : [.. Text.Split(' ').Where(one => one.StartsWith("f=", StringComparison.Ordinal)).Select(one => Unescape(one[2..])).Reverse()];

    /// <summary>Without the member.</summary>
    public Via WithoutMember => Member is null ? this : new Via(Text[..Math.Max(0, Text.LastIndexOf(' '))]);

    /// <summary>True when it came through this.</summary>
    public bool Has(char kind, string value)
    {
        string element = Element(kind, value);
        return Text.Length > 0 && Text.Split(' ').Contains(element, StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>True when it came through anything of a kind.</summary>
    public bool HasAny(char kind) => (" " + Text).Contains($" {kind}=", StringComparison.Ordinal);

    /// <summary>One step more.</summary>
    public Via Add(char kind, string value) => new(Text.Length == 0 ? Element(kind, value) : $"{Text} {Element(kind, value)}");

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
