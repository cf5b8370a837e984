using System.Text;

namespace Postwright.Core.Tables;

// Table keys are addresses in external form (RFC 822 quoting of the local part); callers hold the internal, unquoted form.

/// <summary>Quotes and unquotes the local part of addresses for lookups.</summary>
internal static class AddressQuoting
{
    /// <summary><c>aa bb@c</c> becomes <c>"aa bb"@c</c>; an address whose local part needs no quotes stays.</summary>
    public static string Quote(string address)
    {
        int at = address.LastIndexOf('@');
        string local = at < 0 ? address : address[..at];
        return NeedsNoQuotes(local) ? address : QuoteLocal(local) + (at < 0 ? "" : address[at..]);
    }

    /// <summary>Quotes a local part when it needs quotes.</summary>
    public static string QuoteLocalPart(string local) => NeedsNoQuotes(local) ? local : QuoteLocal(local);

    /// <summary><c>"aa bb"@c</c> becomes <c>aa bb@c</c>.</summary>
    public static string Unquote(string address)
    {
        int at = address.LastIndexOf('@');
        string local = at < 0 ? address : address[..at];
        if (!local.AsSpan().ContainsAny('"', '\\'))
        {
            return address;
        }

        var text = new StringBuilder(local.Length);
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

        return text.Append(at < 0 ? "" : address[at..]).ToString();
    }

    private static string QuoteLocal(string local)
    {
        var text = new StringBuilder(local.Length + 2).Append('"');
        foreach (char c in local)
        {
            if (c is '"' or '\\' or '\r')
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        return text.Append('"').ToString();
    }

    /// <summary>A dot-string of RFC 822: no specials, blanks or controls, no dot at an end or next to another.</summary>
    private static bool NeedsNoQuotes(string local)
    {
        if (local.Length == 0 || local[0] == '.' || local[^1] == '.' || local.Contains("..", StringComparison.Ordinal))
        {
            return false;
        }

        foreach (char c in local)
        {
            if (c <= ' ' || c == '\x7f' || "()<>@,;:\\\"[]".Contains(c))
            {
                return false;
            }
        }

        return true;
    }
}
