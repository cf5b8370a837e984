using System.Buffers;
using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// The two forms of a mail address: internal (<c>a b@c</c>, as tables and queues hold it) and external
/// (<c>"a b"@c</c>, as the wire and the log show it; RFC 5321, 4.1.2, RFC 5322, 3.4.1). The domain is what follows the
/// last <c>@</c>; only the local part is ever quoted.
/// </summary>
public static class AddressText
{
    // atext of RFC 5322, 3.2.3.
    private static readonly SearchValues<char> AtomCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.");

    /// <summary>The position of the <c>@</c> that parts local part and domain, or -1.</summary>
    public static int AtPosition(string address) => address.LastIndexOf('@');

    /// <summary>What follows the last <c>@</c>, or the empty string.</summary>
    public static string DomainOf(string address)
    {
        int at = AtPosition(address);
        return at < 0 ? "" : address[(at + 1)..];
    }

    /// <summary>Internal to external form. The same instance where no quoting is needed.</summary>
    public static string ToExternal(string address)
    {
        int at = AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        if (address.Length == 0 || IsDotString(local))
        {
            return address;
        }

        StringBuilder quoted = new(address.Length + 4);
        quoted.Append('"');
        foreach (char c in local)
        {
            if (c is '"' or '\\' or '\r' or '\n')
            {
                quoted.Append('\\');
            }

            quoted.Append(c);
        }

        quoted.Append('"');
        return at < 0 ? quoted.ToString() : quoted.Append(address, at, address.Length - at).ToString();
    }

    /// <summary>External to internal form: quotes and backslashes go, what they protected stays.</summary>
    public static string ToInternal(string address)
    {
        if (address.AsSpan().IndexOfAny('"', '\\') < 0)
        {
            return address;
        }

        StringBuilder plain = new(address.Length);
        for (int i = 0; i < address.Length; i++)
        {
            char c = address[i];
            if (c == '\\' && i + 1 < address.Length)
            {
                plain.Append(address[++i]);
            }
            else if (c != '"')
            {
                plain.Append(c);
            }
        }

        return plain.ToString();
    }

    // Dots at an end or doubled need quotes (RFC 5321, Dot-string); non-ASCII needs none (RFC 6531, 3.3).
    private static bool IsDotString(ReadOnlySpan<char> local)
    {
        if (local.IsEmpty || local[0] == '.' || local[^1] == '.' || local.Contains("..", StringComparison.Ordinal))
        {
            return false;
        }

        int odd = local.IndexOfAnyExcept(AtomCharacters);
        if (odd < 0)
        {
            return true;
        }

        foreach (char c in local[odd..])
        {
            if (c < 128 && !AtomCharacters.Contains(c))
            {
                return false;
            }
        }

        return true;
    }
}
