using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// <c>|command</c> and mailbox_command: the message on standard input, its circumstances in the environment, the user's identity
/// for good. The exit status says what became of it, in the words of sysexits.h, unless the output begins with a status code.
/// </summary>
internal static class CommandDelivery
{
    /// <summary>A command of an alias, .forward or included file, where allow_mail_to_commands lets it.</summary>
    public static RecipientResult Deliver(LocalContext context, string command, DeliveryRights? rights, ExpansionSource source)
        => context.Options.MailToCommands.HasFlag(source)
            ? Run(context, command, rights)
            : context.Bounce("5.7.1", "mail to command is restricted");

    /// <summary>mailbox_command for a user, as it stands in main.cf: its <c>$EXTENSION</c> and so on are the shell's to expand.</summary>
    public static RecipientResult ToMailboxCommand(LocalContext context, UserEntry user)
        => Run(context, context.Options.MailboxCommand, new DeliveryRights(user.Uid, user.Gid, user));

    private static RecipientResult Run(LocalContext context, string command, DeliveryRights? wanted)
    {
        LocalOptions options = context.Options;
        DeliveryRights? rights = wanted is { Uid: not 0 } ? wanted : DefaultPrivs.Find(context);
        if (rights is null)
        {
            context.Log.Warning($"{context.Request.QueueId}: default_privs: no such user, or root: {options.DefaultPrivs}");
            return context.Defer("4.3.5", "mail system configuration error");
        }

        if (!Identity.CanChange && rights.Uid != Identity.EffectiveUser)
        {
            FileOutcome refused = Mailbox.NoIdentity(rights.Uid);
            return context.Defer(refused.Dsn, refused.Reason);
        }

        string directory = options.QueueDirectory;
        if (options.CommandExecutionDirectory.Length > 0)
        {
            MacroExpander.Result expanded = context.Expand(options.CommandExecutionDirectory, wanted?.User, options.ExecutionDirectoryExpansionFilter);
            if (expanded.Failed || expanded.Undefined)
            {
                return context.Defer("4.3.5", "mail system configuration error");
            }

            directory = expanded.Text;
        }

        IReadOnlyList<string> arguments = SpawnAs.Arguments(
            context.Request.Service, rights.Uid, rights.Gid, options.MailboxSizeLimit, directory, options.CommandShell, command);
        using Spawn? child = Spawn.Start(options.Launcher, ["postwright", .. arguments], CommandEnvironment.Of(context, wanted?.User), out int error);
        if (child is null)
        {
            context.Log.Warning($"{context.Request.QueueId}: cannot run {options.Launcher}: {DeliveryFile.ErrorText(error)}");
            return context.Defer("4.3.0", "unable to run command");
        }

        return Converse(context, child, command);
    }

    private static RecipientResult Converse(LocalContext context, Spawn child, string command)
    {
        var conversation = new CommandConversation(child, context.Time, context.Options.CommandTimeLimit);
        int written = MessageCopy.Copy(context.Source(CopyStyle.Command, context.Options.PrependToCommand), conversation);
        int? status = conversation.Finish();
        string output = conversation.Output;
        string tail = output.Length == 0 ? "" : ". Command output: " + output;
        if (status is not { } ended)
        {
            return context.Bounce("5.3.0", $"Command time limit exceeded: \"{command}\"{tail}");
        }

        int signal = ended & 0x7F;
        if (signal != 0)
        {
            return context.Defer("4.3.0", $"Command died with signal {signal}: \"{command}\"{tail}");
        }

        int code = (ended >> 8) & 0xFF;
        if (code != 0)
        {
            return Failed(context, command, code, output, tail);
        }

        // A command that succeeds without reading everything has read what it wanted.
        return written is 0 or -Errno.BrokenPipe
            ? context.Result(DeliveryStatus.Sent, "2.0.0", $"delivered to command: {command}")
            : context.Defer("4.3.0", $"Command failed: error writing message: {DeliveryFile.ErrorText(written)}");
    }

    private static RecipientResult Failed(LocalContext context, string command, int code, string output, string tail)
    {
        (string dsn, string? words) = SystemExits.Explain(code);
        string reason = (words ?? $"Command died with status {code}: \"{command}\"") + tail;
        if (SystemExits.LeadingDsn(output) is { } own)
        {
            // A command that fails cannot say "delivered": Postfix makes 5.0.0 of such a code.
            (dsn, reason) = (own[0] == '2' ? "5.0.0" : own, output[own.Length..].TrimStart());
        }

        return dsn[0] == '4' ? context.Defer(dsn, reason) : context.Bounce(dsn, reason);
    }
}
