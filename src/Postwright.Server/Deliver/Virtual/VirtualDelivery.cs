using System.Globalization;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Deliver.Agent;
using Postwright.Server.Deliver.Local;

namespace Postwright.Server.Deliver.Virtual;

/// <summary>
/// virtual(8): mailboxes of domains whose users are in tables, not in passwd. virtual_mailbox_maps gives the path below
/// virtual_mailbox_base (Maildir with a slash at the end), the uid and gid maps the owner; no aliases, commands or root.
/// A user who is not in the map bounces; a table that cannot be asked, or an owner that is missing or not allowed, defers.
/// </summary>
internal sealed class VirtualDelivery(VirtualOptions options, IHost host, TimeProvider time, MailLog log) : IDeliveryService
{
    private const AddressKeys Keys = AddressKeys.Full | AddressKeys.WithoutExtension | AddressKeys.AtDomain;

    /// <inheritdoc />
    public RecipientResult Deliver(AgentRequest request, AgentRecipient recipient, CancellationToken cancellationToken)
    {
        RecipientResult Answer(DeliveryStatus status, string dsn, string reason) => new(recipient.Index, status, dsn, reason, request.Service);
        RecipientResult Misconfigured() => Answer(DeliveryStatus.Deferred, "4.3.5", "mail system configuration error");

        string key = recipient.Address.ToLowerInvariant();
        LookupResult mailbox = Find(options.MailboxMaps, key, "virtual_mailbox_maps");
        if (mailbox.Status == LookupStatus.NotFound)
        {
            return Answer(DeliveryStatus.Bounced, "5.1.1", $"unknown user: \"{recipient.Address}\"");
        }

        if (options.HasRemoteIdentities)
        {
            log.Warning("virtual_uid_maps, virtual_gid_maps: tables on servers do not say whose rights a delivery has");
            return Misconfigured();
        }

        if (mailbox.Value is null || PathOf(mailbox.Value, recipient.Address) is not { } path
            || FindNumber(options.UidMaps, key, "uid", "virtual_uid_maps", options.MinimumUid) is not { } uid
            || FindNumber(options.GidMaps, key, "gid", "virtual_gid_maps", 1) is not { } gid)
        {
            return Misconfigured();
        }

        var addresses = new CopyAddresses(
            request.Sender, options.EnableOriginalRecipient ? recipient.OriginalAddress : "", recipient.Address, []);
        bool isMaildir = path.EndsWith('/');
        var source = new CopySource(request.Content, addresses, isMaildir ? CopyStyle.Maildir : CopyStyle.Mailbox, time.GetLocalNow());
        FileOutcome outcome = isMaildir ? ToMaildir(source, path, uid, gid) : ToFile(source, path, uid, gid, cancellationToken);
        if (outcome.Reason.EndsWith("is not a regular file", StringComparison.Ordinal))
        {
            log.Warning($"recipient {recipient.Address}: {outcome.Reason}");
        }

        return outcome.ToResult(recipient.Index, isMaildir ? "delivered to maildir" : "delivered to mailbox", request.Service);
    }

    private FileOutcome ToMaildir(CopySource source, string path, uint uid, uint gid) => Maildir.Deliver(new Maildir.Job
    {
        Path = path,
        Uid = uid,
        Gid = gid,
        Source = source,
        SizeLimit = options.MailboxLimit,
        DefaultDsn = "4.2.0",
        HostName = host.HostName,
        Time = time,
        Log = log,
    });

    private FileOutcome ToFile(CopySource source, string path, uint uid, uint gid, CancellationToken cancellationToken)
    {
        FileOutcome outcome = Mailbox.Deliver(new Mailbox.Job
        {
            Path = path,
            Uid = uid,
            Gid = gid,
            OpenUid = uid,
            OpenGid = gid,
            StrictOwner = options.StrictMailboxOwnership,
            Locks = options.Locks,
            SizeLimit = options.MailboxLimit,
            DefaultDsn = "4.2.0",
            Source = source,
            Time = time,
            Log = log,
            CancellationToken = cancellationToken,
        });
        return outcome.IsSuccess ? outcome : outcome.Prepend($"delivery failed to mailbox {path}: ");
    }

    private LookupResult Find(MailAddressFinder maps, string key, string title)
    {
        LookupResult found = TableLookup.Wait(maps.FindAsync(key, Keys)).Result;
        if (found.Status == LookupStatus.TemporaryError)
        {
            log.Warning($"table {title}: lookup {key}: {found.Error}");
        }

        return found;
    }

    private uint? FindNumber(MailAddressFinder maps, string key, string what, string title, long minimum)
    {
        // A lookup that failed has been told of; nothing is delivered either way.
        LookupResult found = TableLookup.Wait(maps.FindAsync(key, Keys)).Result;
        if (!found.IsFound)
        {
            log.Warning($"recipient {key}: not found in {title}");
            return null;
        }

        // Never root, whatever virtual_minimum_uid says; and not the number that means "leave it".
        if (uint.TryParse(found.Value, NumberStyles.None, CultureInfo.InvariantCulture, out uint number)
            && number >= Math.Max(minimum, 1) && number != uint.MaxValue)
        {
            return number;
        }

        log.Warning($"recipient {key}: bad {what} {found.Value} in {title}");
        return null;
    }

    // A map out of control must not lead out of the base.
    private string? PathOf(string value, string recipient)
    {
        if (options.MailboxBase.StartsWith('/') && value.Length > 0 && !value.Contains('\0') && !value.Split('/').Contains(".."))
        {
            return $"{options.MailboxBase.TrimEnd('/')}/{value.TrimStart('/')}";
        }

        log.Warning(options.MailboxBase.StartsWith('/')
            ? $"recipient {recipient}: bad path {value} in virtual_mailbox_maps"
            : $"do not specify relative pathname: virtual_mailbox_base = {options.MailboxBase}");
        return null;
    }
}
