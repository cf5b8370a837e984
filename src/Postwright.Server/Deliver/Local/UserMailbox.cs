using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// Where a user's mail is kept: mailbox_command's affair if that is set, else home_mailbox in the home directory, else a file or Maildir named after the user in
/// mail_spool_directory. In a spool directory that everybody may write, all is done as the user; where a group may, as the user
/// with that group; else root makes lock files and mailbox and gives the mailbox to the user.
/// </summary>
internal static class UserMailbox
{
    /// <summary>Delivers to a user who exists.</summary>
    public static RecipientResult Deliver(LocalContext context, UserEntry user)
    {
        LocalOptions options = context.Options;
        if (options.MailboxCommand.Length > 0)
        {
            return CommandDelivery.ToMailboxCommand(context, user);
        }

        string name = context.Parts.User;
        if (name.AsSpan().ContainsAny('/', '\0') || name is "." or "..")
        {
            // Not even a passwd entry of such a name may lead out of the spool.
            return context.Bounce("5.1.1", $"unknown user: \"{name}\"");
        }

        string path = options.HomeMailbox.Length > 0
            ? $"{user.Home}/{options.HomeMailbox}"
            : $"{options.MailSpoolDirectory.TrimEnd('/')}/{name}{(options.MailSpoolDirectory.EndsWith('/') ? "/" : "")}";
        return path.EndsWith('/') ? ToMaildir(context, user, path) : ToFile(context, user, path, options.HomeMailbox.Length > 0);
    }

    private static RecipientResult ToMaildir(LocalContext context, UserEntry user, string path)
        => Maildir.Deliver(context.MaildirJob(path, user.Uid, user.Gid))
            .ToResult(context.Recipient.Index, "delivered to maildir", context.Request.Service);

    private static RecipientResult ToFile(LocalContext context, UserEntry user, string path, bool inHome)
    {
        (uint uid, uint gid) = inHome ? (user.Uid, user.Gid) : Opener(context.Options.MailSpoolDirectory, user);
        FileOutcome outcome = Mailbox.Deliver(context.MailboxJob(path, user.Uid, user.Gid) with { OpenUid = uid, OpenGid = gid });
        if (!outcome.IsSuccess)
        {
            outcome = outcome.Prepend($"cannot update mailbox {path} for user {context.Parts.User}. ");
        }

        return outcome.ToResult(context.Recipient.Index, "delivered to mailbox", context.Request.Service);
    }

    private static (uint Uid, uint Gid) Opener(string spool, UserEntry user)
    {
        if (!Identity.CanChange || DeliveryFile.Stat(spool, out FileFacts facts) < 0 || (facts.Mode & 0x2) != 0)
        {
            return (user.Uid, user.Gid);
        }

        return (facts.Mode & 0x10) != 0 ? (user.Uid, facts.Gid) : (0, 0);
    }

    /// <summary>Why the home directory cannot be reached, for require_home_directory; null when it can.</summary>
    public static string? HomeTrouble(UserEntry user)
    {
        using (DeliveryIdentity.Assume(user.Uid, user.Gid, out _))
        {
            int result = DeliveryFile.Stat(user.Home, out _);
            return result >= 0 ? null : $"cannot access home directory {user.Home}: {DeliveryFile.ErrorText(result)}";
        }
    }
}
