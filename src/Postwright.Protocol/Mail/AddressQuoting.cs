using System.Buffers;
using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// Between the internal form of an address (<c>wietse venema@porcupine.org</c>), as envelopes and tables hold it, and the
/// external one (<c>"wietse venema"@porcupine.org</c>), as headers, log lines and SMTP commands show it (RFC 5322, 3.4.1).
/// The local part ends at the last @. Eight-bit characters stay as they are.
/// </summary>
public static class AddressQuoting
{
    private static readonly SearchValues<char> Unquotable = SearchValues.Create("()<>@,;:\\\"[] ");

    /// <summary>The external form of <paramref name="address"/>; the empty address stays empty.</summary>
    public static string Quote(string address)
    {
        if (address.Length == 0)
        {
            return address;
        }

        int at = address.LastIndexOf('@');
        string local = at < 0 ? address : address[..at];
        if (IsDotString(local))
        {
            return address;
        }

        var text = new StringBuilder(address.Length + 8);
        AppendEscaped(text.Append('"'), local, "\"\\\r").Append('"');
        return at < 0 ? text.ToString() : text.Append(address, at, address.Length - at).ToString();
    }

    internal static StringBuilder AppendEscaped(StringBuilder text, string value, string escaped)
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

    private static bool IsDotString(string local) =>
        local.Length > 0 && local[0] != '.' && local[^1] != '.'
        && !local.Contains("..", StringComparison.Ordinal)
        && !local.AsSpan().ContainsAny(Unquotable)
        && !local.AsSpan().ContainsAnyInRange('\0', '\x1f') && !local.Contains('\x7f');
}
