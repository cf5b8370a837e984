using System.Globalization;
using Postwright.Core.Control;
using Postwright.Core.Logging;
using Postwright.Core.Records;
using Postwright.Server.Queue;

namespace Postwright.Server.Master.Control;

/// <summary>
/// What the commands ask of the queue: list, flush, change, read. One instance serves all clients. It trusts its caller about who
/// may ask, and the queue about what may be done.
/// </summary>
/// <param name="queue">The queue manager.</param>
/// <param name="store">The messages.</param>
/// <param name="maildrop">What waits for pickup.</param>
/// <param name="wakePickup">Makes pickup look; must not block.</param>
public sealed class ControlService(IQueueControl queue, IMessageStore store, MaildropListing maildrop, Action wakePickup)
{
    /// <summary>Serves a request whose asker may ask it.</summary>
    /// <returns>Empty after an answer that ends with <see cref="ControlProtocol.Answer"/>, else why not, to be sent as the answer.</returns>
    public async ValueTask<string> ServeAsync(byte request, IReadOnlyList<string> fields, IControlAnswer answer, CancellationToken cancellationToken)
    {
        switch (request)
        {
            case ControlProtocol.List:
                return await ListAsync(answer, cancellationToken);
            case ControlProtocol.Flush:
                queue.Flush();
                wakePickup();
                return await DoneAsync(answer, "", cancellationToken);
            case ControlProtocol.FlushMessage when fields is [var id]:
                return await DoneAsync(answer, queue.Flush(id) ? "1" : "0", cancellationToken);
            case ControlProtocol.FlushSite when fields is [var site]:
                await queue.FlushSiteAsync(site, cancellationToken);
                return await DoneAsync(answer, "", cancellationToken);
            case ControlProtocol.WakePickup:
                wakePickup();
                return await DoneAsync(answer, "", cancellationToken);
            case ControlProtocol.Change when fields.Count >= 3:
                return await ChangeAsync(fields, answer, cancellationToken);
            case ControlProtocol.Get when fields is [var id]:
                return await GetAsync(id, answer, cancellationToken);
            case ControlProtocol.Status:
                return await DoneAsync(answer, Environment.ProcessId.ToString(CultureInfo.InvariantCulture), cancellationToken);
            default:
                return "unknown request";
        }
    }

    private static async ValueTask<string> DoneAsync(IControlAnswer answer, string result, CancellationToken cancellationToken)
    {
        await answer.WriteAsync(ControlProtocol.Answer, [ControlProtocol.Done, result], cancellationToken);
        return "";
    }

    private async ValueTask<string> ListAsync(IControlAnswer answer, CancellationToken cancellationToken)
    {
        await foreach (ListedMessage message in maildrop.ListAsync(cancellationToken))
        {
            await WriteAsync(message, answer, cancellationToken);
        }

        await foreach (QueueListing listing in queue.ListAsync(cancellationToken))
        {
            await WriteAsync(Listed(listing), answer, cancellationToken);
        }

        return await DoneAsync(answer, "", cancellationToken);
    }

    private static async ValueTask WriteAsync(ListedMessage message, IControlAnswer answer, CancellationToken cancellationToken)
    {
        foreach ((byte type, byte[] data) in ListingRecords.Encode(message))
        {
            await answer.WriteAsync(type, data, cancellationToken);
        }
    }

    /// <summary>A queue manager's row as postqueue shows it.</summary>
    public static ListedMessage Listed(QueueListing listing) => new(
        listing.IsActive ? "active" : NameOf(listing.Entry.Queue), listing.Entry.QueueId, listing.Entry.Arrival.ToUnixTimeSeconds(), listing.Entry.Size,
        listing.Entry.ForceExpire, listing.Sender,
        // A recipient that was never tried has the default state, whose reason is null.
        [.. listing.Recipients.Select(static r => new ListedMessageRecipient(r.Address, r.OriginalAddress, r.DelayReason ?? ""))]);

    /// <summary>Postfix's name of a queue.</summary>
    public static string NameOf(QueueName queue) => queue switch
    {
        QueueName.Incoming => "incoming",
        QueueName.Deferred => "deferred",
        QueueName.Hold => "hold",
        _ => "corrupt",
    };

    private async ValueTask<string> ChangeAsync(IReadOnlyList<string> fields, IControlAnswer answer, CancellationToken cancellationToken)
    {
        if (fields[0] is not [var letter] || OperationOf(letter) is not { } operation)
        {
            return "unknown operation";
        }

        string[] queues = fields[1].Split(',', StringSplitOptions.RemoveEmptyEntries);
        bool everything = fields is [_, _, "ALL"];
        int changed = 0;
        foreach (string id in everything ? await MatchingAsync(queues, operation, cancellationToken) : fields.Skip(2))
        {
            if (!everything && !await IsInAsync(id, queues, cancellationToken))
            {
                continue;
            }

            var lines = new ChangeLines();
            bool done = await queue.ChangeAsync(id, operation, new MailLog(lines, "postfix/postsuper", 0), cancellationToken);
            if (!done && operation == QueueOperation.Delete && queues.Contains("maildrop") && maildrop.Remove(id))
            {
                done = true;
                lines.Write(LogLevel.Info, "", 0, $"{id}: removed");
            }

            changed += done ? 1 : 0;
            foreach (string line in everything ? lines.Troubles : lines.All)
            {
                await answer.WriteAsync(ControlProtocol.Changed, [line], cancellationToken);
            }
        }

        return await DoneAsync(answer, changed.ToString(CultureInfo.InvariantCulture), cancellationToken);
    }

    private static QueueOperation? OperationOf(char letter) => letter switch
    {
        'd' => QueueOperation.Delete,
        'h' => QueueOperation.Hold,
        'H' => QueueOperation.Release,
        'r' => QueueOperation.Requeue,
        'e' => QueueOperation.Expire,
        'f' => QueueOperation.ForceExpire,
        _ => null,
    };

    private async ValueTask<List<string>> MatchingAsync(string[] queues, QueueOperation operation, CancellationToken cancellationToken)
    {
        var ids = new List<string>();
        if (operation == QueueOperation.Delete && queues.Contains("maildrop"))
        {
            ids.AddRange(maildrop.Names());
        }

        HashSet<string> active = await ActiveAsync(queues, cancellationToken);
        foreach (QueueEntry entry in store.Entries())
        {
            if (queues.Contains(active.Contains(entry.QueueId) ? "active" : NameOf(entry.Queue)))
            {
                ids.Add(entry.QueueId);
            }
        }

        return ids;
    }

    private async ValueTask<bool> IsInAsync(string id, string[] queues, CancellationToken cancellationToken)
    {
        if (!QueueFileName.IsValid(id))
        {
            return false;
        }

        if (!store.TryGetEntry(id, out QueueEntry entry))
        {
            return queues.Contains("maildrop");
        }

        return queues.Contains(NameOf(entry.Queue))
            || (queues.Contains("active") && (await ActiveAsync(queues, cancellationToken)).Contains(id));
    }

    /// <summary>
    /// Which messages are in delivery now, which matters only where the active queue is named without the queues
    /// that its messages are kept in, or the other way round.
    /// </summary>
    private async ValueTask<HashSet<string>> ActiveAsync(string[] queues, CancellationToken cancellationToken)
    {
        var active = new HashSet<string>(StringComparer.Ordinal);
        bool kept = queues.Contains("incoming") && queues.Contains("deferred");
        if (queues.Contains("active") && kept)
        {
            return active;
        }

        await foreach (QueueListing listing in queue.ListAsync(cancellationToken))
        {
            if (listing.IsActive)
            {
                active.Add(listing.Entry.QueueId);
            }
        }

        return active;
    }

    private async ValueTask<string> GetAsync(string id, IControlAnswer answer, CancellationToken cancellationToken)
    {
        try
        {
            using StoredMessage? message = await store.LoadAsync(id, cancellationToken);
            if (message is null)
            {
                return "No such file or directory";
            }

            await answer.WriteAsync(ControlProtocol.Found, [NameOf(message.Entry.Queue)], cancellationToken);
            using var image = new QueueFileImage(message);
            await image.WriteAsync(answer, cancellationToken);
            return await DoneAsync(answer, "", cancellationToken);
        }
        catch (IOException)
        {
            return "Input/output error";
        }
    }

    /// <summary>postsuper's lines, which the client prints and logs.</summary>
    private sealed class ChangeLines : ILogSink
    {
        public List<string> All { get; } = [];

        public List<string> Troubles { get; } = [];

        public void Write(LogLevel level, string tag, int number, string text)
        {
            All.Add(text);
            if (level != LogLevel.Info)
            {
                Troubles.Add(text);
            }
        }
    }
}
