using System.Buffers;
using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// The two forms of a mail address: internal (<c>a b@c</c>, as envelopes hold it) and external (<c>"a b"@c</c>, as headers,
/// log lines, SMTP commands and table keys show it; RFC 5321, 4.1.2, RFC 5322, 3.4.1). The domain is what follows the last
/// <c>@</c>; only the local part is ever quoted. Eight-bit characters stay as they are.
/// </summary>
public static class AddressText
{
    // What Postfix quotes: specials, blanks and controls. Everything else may stand in a dot-string.
    private static readonly SearchValues<char> NeedQuotes = SearchValues.Create(
        "()<>@,;:\\\"[] \x7f\0\x01\x02\x03\x04\x05\x06\x07\b\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f");

    /// <summary>The position of the <c>@</c> that parts local part and domain, or -1.</summary>
    public static int AtPosition(string address) => address.LastIndexOf('@');

    /// <summary>What follows the last <c>@</c>, or the empty string.</summary>
    public static string DomainOf(string address)
    {
        int at = AtPosition(address);
        return at < 0 ? "" : address[(at + 1)..];
    }

    /// <summary>
    /// Internal to external form; the empty address (the null sender) stays empty. The same instance where no quoting is
    /// needed, found without a copy: every log line asks.
    /// </summary>
    public static string ToExternal(string address)
    {
        int at = AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        return address.Length == 0 || IsDotString(local) ? address : string.Concat(Quote(local), at < 0 ? "" : address.AsSpan(at));
    }

    /// <summary>External to internal form: quotes and backslashes of the local part go, what they protected stays.</summary>
    public static string ToInternal(string address)
    {
        int at = AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        if (!local.ContainsAny('"', '\\'))
        {
            return address;
        }

        StringBuilder text = new(address.Length);
        for (int i = 0; i < local.Length; i++)
        {
            if (local[i] == '\\' && i + 1 < local.Length)
            {
                text.Append(local[++i]);
            }
            else if (local[i] != '"')
            {
                text.Append(local[i]);
            }
        }

        return text.Append(at < 0 ? "" : address.AsSpan(at)).ToString();
    }

    /// <summary>A local part alone, quoted where it needs quotes.</summary>
    public static string QuoteLocalPart(string local) => IsDotString(local) ? local : Quote(local);

    /// <summary>Appends a text with a backslash before each of the characters in <paramref name="escaped"/>.</summary>
    internal static StringBuilder AppendEscaped(StringBuilder text, ReadOnlySpan<char> value, string escaped)
    {
        foreach (char c in value)
        {
            if (escaped.Contains(c))
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        return text;
    }

    private static string Quote(ReadOnlySpan<char> local) =>
        AppendEscaped(new StringBuilder(local.Length + 8).Append('"'), local, "\"\\\r").Append('"').ToString();

    private static bool IsDotString(ReadOnlySpan<char> local) =>
        local.Length > 0 && local[0] != '.' && local[^1] != '.' && !local.ContainsAny(NeedQuotes)
        && !local.Contains("..", StringComparison.Ordinal);
}
