using System.Buffers;

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

    /// <summary>Internal to external form. The same instance where no quoting is needed, found without a copy: every log line asks.</summary>
    public static string ToExternal(string address)
    {
        int at = AtPosition(address);
        ReadOnlySpan<char> local = at < 0 ? address : address.AsSpan(0, at);
        bool isPlain = local.Length > 0 && local[0] != '.' && local[^1] != '.'
            && local.IndexOfAnyExcept(AtomCharacters) < 0 && !local.Contains("..", StringComparison.Ordinal);
        return isPlain ? address : AddressQuoting.Quote(address);
    }
}
