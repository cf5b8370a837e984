namespace Postwright.Server.Receive.Smtpd.Restrictions;

/// <summary>
/// Codes of the address, x.1.x, are some for senders and some for recipients (RFC 3463, 3.2). A table's text is asked about
/// both, and about clients, so its code is brought into line with what is refused, as Postfix does it.
/// </summary>
internal static class FittingStatus
{
    public static string ForSender(string dsn) => !IsOfAddress(dsn, out string detail) ? dsn : dsn[..4] + detail switch
    {
        "2" or "8" => "8",
        "1" or "3" or "4" or "6" or "7" => "7",
        _ => "0",
    };

    public static string ForRecipient(string dsn) => !IsOfAddress(dsn, out string detail) ? dsn : dsn[..4] + detail switch
    {
        "1" or "2" or "3" or "4" or "5" or "6" => detail,
        "7" => "3",
        "8" => "2",
        _ => "0",
    };

    /// <summary>For a client's address, its name, and what it calls itself.</summary>
    public static string ForClient(string dsn) => IsOfAddress(dsn, out _) ? dsn[..2] + "0.0" : dsn;

    private static bool IsOfAddress(string dsn, out string detail)
    {
        bool found = dsn.AsSpan(1).StartsWith(".1.");
        detail = found ? dsn[4..] : "";
        return found;
    }
}
