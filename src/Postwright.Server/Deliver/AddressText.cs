using System.Buffers;
using System.Text;

namespace Postwright.Server.Deliver;

/// <summary>The external (quoted) form of an address for log lines and notices (RFC 5321, 4.1.2): <c>"a b"@example</c>.</summary>
internal static class AddressText
{
    // atext and the dot (RFC 5322, 3.2.3); everything above ASCII is UTF-8 that SMTPUTF8 allows as it is (RFC 6531, 3.3).
    private static readonly SearchValues<char> Plain =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.");

    /// <summary>Appends <paramref name="address"/>, its local part quoted where it must be.</summary>
    public static void AppendExternal(StringBuilder text, string address)
    {
        int at = address.LastIndexOf('@');
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        if (!NeedsQuoting(local, at >= 0))
        {
            text.Append(address);
            return;
        }

        text.Append('"');
        foreach (char c in local)
        {
            if (c is '"' or '\\' or '\r')
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        text.Append('"').Append(address, local.Length, address.Length - local.Length);
    }

    /// <summary>The external form.</summary>
    public static string External(string address)
    {
        int at = address.LastIndexOf('@');
        if (!NeedsQuoting(at < 0 ? address : address.AsSpan(0, at), at >= 0))
        {
            return address;
        }

        StringBuilder text = new(address.Length + 8);
        AppendExternal(text, address);
        return text.ToString();
    }

    /// <summary>True when a local part is no dot-atom. An address that is empty altogether needs no quotes.</summary>
    internal static bool NeedsQuoting(ReadOnlySpan<char> local, bool hasDomain)
    {
        if (local.IsEmpty)
        {
            return hasDomain;
        }

        if (local[0] == '.' || local[^1] == '.' || local.IndexOf("..") >= 0)
        {
            return true;
        }

        foreach (char c in local)
        {
            if (c < 0x80 && !Plain.Contains(c))
            {
                return true;
            }
        }

        return false;
    }
}
