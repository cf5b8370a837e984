using Postwright.Core.Configuration;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// A user's own forwarding: the first file of forward_path that exists, read with the user's rights. The file must be regular,
/// the user's or root's, and not writable by everybody; with strict_forward_permissions neither file nor home may be writable by
/// the group either. A file that fails the test is named in a warning and counts as absent; so does one without a member.
/// </summary>
internal static class DotForward
{
    private const int SizeLimit = 1024 * 1024;

    /// <summary>Expands the user's .forward; null when there is none, and the mailbox is next.</summary>
    public static RecipientResult? Deliver(LocalContext context, UserEntry user)
    {
        // The user who lists himself keeps a copy.
        if (string.Equals(context.Via.LastForward, context.Recipient.Address, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        foreach (string pattern in context.Options.ForwardPath)
        {
            MacroExpander.Result path = context.Expand(pattern, user, context.Options.ForwardExpansionFilter);
            if (path.Failed || path.Undefined)
            {
                continue;
            }

            int result = Read(context, user, path.Text, out string text, out string? trouble);
            if (trouble is not null)
            {
                context.Log.Warning($"{context.Request.QueueId}: {trouble}");
            }

            if (result < 0 && IsTemporary(result))
            {
                return context.Defer("4.3.0", $"error reading forwarding file: {DeliveryFile.ErrorText(result)}");
            }

            if (result < 0)
            {
                continue;
            }

            var expander = new Expander(context);
            expander.AddLines(text, ExpansionSource.Forward, new DeliveryRights(user.Uid, user.Gid, user));
            return expander.Expansion.Members.Count == 0
                ? null
                : MemberDelivery.Deliver(context, new ExpansionStep(expander.Expansion, 'f', null, context.Parts.Extension));
        }

        return null;
    }

    private static bool IsTemporary(int result)
        => -result is Errno.InputOutput or Errno.NoMemory or Errno.TooManyFiles or Errno.TooManyDescriptors or Errno.Stale or Errno.TimedOut or Errno.TryAgain;

    // Minus errno when it is not there, may not be used (EPERM), or could not be read.
    private static int Read(LocalContext context, UserEntry user, string path, out string text, out string? trouble)
    {
        text = "";
        trouble = null;
        using (DeliveryIdentity.Assume(user.Uid, user.Gid, out bool assumed))
        {
            if (!assumed)
            {
                return -Errno.NoEntry;
            }

            int result = DeliveryFile.LinkStat(path, out FileFacts named);
            if (result < 0)
            {
                return result;
            }

            int descriptor = DeliveryFile.Open(path, OpenFlags.ReadOnly | OpenFlags.NonBlocking);
            if (descriptor < 0)
            {
                trouble = $"cannot open file {path}: {DeliveryFile.ErrorText(descriptor)}";
                return descriptor;
            }

            try
            {
                result = DeliveryFile.Stat(descriptor, out FileFacts facts);
                trouble = result < 0 ? $"cannot open file {path}: {DeliveryFile.ErrorText(result)}" : Refusal(context, user, path, named, facts);
                return trouble is not null ? Math.Min(result, -1) : DeliveryFile.ReadAll(descriptor, SizeLimit, out text);
            }
            finally
            {
                _ = DeliveryFile.Close(descriptor);
            }
        }
    }

    private static string? Refusal(LocalContext context, UserEntry user, string path, FileFacts named, FileFacts facts)
    {
        // The name itself must be the file, as Postfix's lstat demands: no link of whatever owner.
        if (!named.IsRegular || !facts.IsRegular)
        {
            return $"file {path} is not a regular file";
        }

        if (facts.Uid != 0 && facts.Uid != user.Uid)
        {
            return $"file {path} has bad owner uid {facts.Uid}";
        }

        if ((facts.Mode & 0x2) != 0)
        {
            return $"file {path} is world writable";
        }

        if (!context.Options.StrictForwardPermissions)
        {
            return null;
        }

        if ((facts.Mode & 0x10) != 0)
        {
            return $"file {path} is group writable";
        }

        return DeliveryFile.Stat(user.Home, out FileFacts home) < 0 || (home.Mode & 0x12) == 0
            ? null
            : $"home directory {user.Home} is writable by others than its owner: file {path} is not used";
    }
}
