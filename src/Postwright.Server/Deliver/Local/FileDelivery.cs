namespace Postwright.Server.Deliver.Local;

/// <summary><c>/file</c> and <c>/maildir/</c> of an alias, .forward or included file, where allow_mail_to_files lets it.</summary>
internal static class FileDelivery
{
    /// <summary>Appends the message, or adds it to the Maildir.</summary>
    public static RecipientResult Deliver(LocalContext context, Member member)
    {
        if (!context.Options.MailToFiles.HasFlag(member.Source))
        {
            return context.Bounce("5.7.1", "mail to file is restricted");
        }

        DeliveryRights? rights = member.Rights is { Uid: not 0 } own ? own : DefaultPrivs.Find(context);
        if (rights is null)
        {
            context.Log.Warning($"{context.Request.QueueId}: default_privs: no such user, or root: {context.Options.DefaultPrivs}");
            return context.Defer("4.3.5", "mail system configuration error");
        }

        string path = member.Text;
        if (path.EndsWith('/'))
        {
            return Maildir.Deliver(context.MaildirJob(path, rights.Uid, rights.Gid))
                .ToResult(context.Recipient.Index, "delivered to maildir", context.Request.Service);
        }

        FileOutcome outcome = Mailbox.Deliver(context.MailboxJob(path, rights.Uid, rights.Gid) with { IsDestinationFile = true });
        outcome = outcome.IsSuccess ? outcome : outcome.Prepend($"cannot append message to file {path}: ");
        return outcome.ToResult(context.Recipient.Index, $"delivered to file: {path}", context.Request.Service);
    }
}
