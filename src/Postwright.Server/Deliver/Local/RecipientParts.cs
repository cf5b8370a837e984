using Postwright.Core.Tables;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// A local recipient taken apart at its last @ and at the first recipient delimiter. local(8) folds the local part to lower
/// case; a backslash in front means "this user's mailbox, no alias and no .forward".
/// </summary>
/// <param name="Address">As it was.</param>
/// <param name="Local">The local part, folded, without the backslash.</param>
/// <param name="Domain">What follows the @; empty if nothing.</param>
/// <param name="User">The local part without extension.</param>
/// <param name="Extension">Null when there is none.</param>
/// <param name="Delimiter">The character between user and extension; empty when there is none.</param>
/// <param name="MailboxOnly">There was a backslash.</param>
internal sealed record RecipientParts(string Address, string Local, string Domain, string User, string? Extension, string Delimiter, bool MailboxOnly)
{
    /// <summary>Takes an address apart.</summary>
    public static RecipientParts Parse(string address, LocalOptions options)
    {
        int at = address.LastIndexOf('@');
        string local = (at < 0 ? address : address[..at]).ToLowerInvariant();
        string domain = at < 0 ? "" : address[(at + 1)..];
        bool mailboxOnly = local.StartsWith('\\');
        local = mailboxOnly ? local[1..] : local;
        return MailAddressFinder.SplitExtension(local, options.AddressOptions) is var (user, extension)
            ? new RecipientParts(address, local, domain, user, extension[1..], extension[..1], mailboxOnly)
            : new RecipientParts(address, local, domain, local, null, "", mailboxOnly);
    }
}
