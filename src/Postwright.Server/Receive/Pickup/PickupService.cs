using System.Text;
using System.Threading.Channels;
using Postwright.Core.Logging;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Protocol.Mail;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;

namespace Postwright.Server.Receive.Pickup;

/// <summary>
/// Takes locally submitted mail from the maildrop directory into the queue. A file is read to its end and checked before a
/// byte of it goes to cleanup; it is removed only when its message is in the queue (or was already, after a crash in
/// between: the maildrop key in the envelope tells), when it can never be one, or when nothing of it was to be kept. What
/// fails for a reason that may pass stays, and is tried again at the next wake-up.
/// <para>Several files are taken at once, so that their messages share one sync of the disk.</para>
/// </summary>
/// <param name="options">From main.cf.</param>
/// <param name="maildrop">Where local programs leave them.</param>
/// <param name="cleanup">Where messages go.</param>
/// <param name="newQueueId">The store's next queue ID.</param>
/// <param name="log">Tagged pickup.</param>
/// <param name="clock">The time.</param>
public sealed class PickupService(PickupOptions options, IMaildrop maildrop, ICleanup cleanup, Func<string> newQueueId, MailLog log, TimeProvider clock)
{
    /// <summary>As many files at once as one disk sync is worth sharing for.</summary>
    private const int AtOnce = 32;

    /// <summary>Files that were refused for good and could not be removed or must be kept; more are simply tried again.</summary>
    private const int RememberedLimit = 1000;

    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);

    /// <summary>Says that there may be something. May be called from anywhere, any number of times.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Looks now, and at every wake-up and interval, until cancelled. What is in hand then is finished or left for the next start.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                while (await TakeAllAsync(cancellationToken) > 0)
                {
                    // Until nothing more is taken: files may have come meanwhile.
                }

                await WaitAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Shutdown.
        }
    }

    /// <summary>Takes every file that is ready now.</summary>
    /// <returns>The number of files that are gone from the directory by it.</returns>
    public async Task<int> TakeAllAsync(CancellationToken cancellationToken)
    {
        int removed = 0;
        foreach (MaildropEntry[] batch in maildrop.Ready().Where(entry => !_refused.Contains(entry.Key)).Chunk(AtOnce))
        {
            bool[] gone = await Task.WhenAll(batch.Select(entry => TakeAsync(entry, cancellationToken)));
            int taken = gone.Count(static one => one);
            removed += taken;
            if (taken > 0)
            {
                maildrop.SyncRemovals();
            }
        }

        return removed;
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var pause = new CancellationTokenSource(options.WakeUp, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, pause.Token);
        try
        {
            await _wake.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Nobody woke us: look anyway.
        }
    }

    private async Task<bool> TakeAsync(MaildropEntry entry, CancellationToken cancellationToken)
    {
        try
        {
            await using Stream? file = maildrop.Open(entry);
            return file is not null && await TakeAsync(entry, file, cancellationToken) && maildrop.Remove(entry);
        }
        catch (IOException failure)
        {
            log.Warning($"read maildrop/{entry.Name}: {failure.Message}");
            return false;
        }
    }

    private async ValueTask<bool> TakeAsync(MaildropEntry entry, Stream file, CancellationToken cancellationToken)
    {
        uint uid = entry.Status.Uid;
        var reader = new RecordReader(file, options.LineLengthLimit);
        (MaildropMessage? message, int badType) = await MaildropMessage.ReadAsync(reader, cancellationToken);
        if (message is null)
        {
            log.Warning($"uid={uid}: unexpected or malformed record type {badType}");
            return true;
        }

        string queueId = newQueueId();
        if (message.Sender is null)
        {
            log.Warning($"{queueId}: uid={uid}: no envelope sender");
            return true;
        }

        if (message.IsProbe || message.Recipients.Count == 0)
        {
            string why = message.IsProbe ? "address probes are not supported" : "no recipients specified";
            log.Warning($"maildrop/{entry.Name}: error writing {queueId}: {why}");
            return true;
        }

        DateTimeOffset arrival = ArrivalOf(entry, message, queueId);
        log.Info($"{queueId}: uid={uid} from=<{AddressText.ToExternal(message.Sender)}>{OriginalId(entry)}");
        if (message.WantsVerp)
        {
            log.Warning($"{queueId}: variable envelope return paths are not supported: sent without");
        }

        using ICleanupMessage queued = cleanup.Begin(Envelope(entry, message, queueId, arrival), message.IsRemote ? CleanupOptions.Smtpd : CleanupOptions.Pickup);
        foreach (EnvelopeRecipient recipient in message.QueuedRecipients())
        {
            queued.AddRecipient(recipient);
        }

        file.Position = 0;
        if (!await CopyContentAsync(file, queued, Received(uid, queueId, arrival), cancellationToken))
        {
            log.Warning($"uid={uid}: maildrop/{entry.Name} changed while it was read");
            return false;
        }

        return Decide(entry, queueId, await queued.FinishAsync(cancellationToken));
    }

    private bool Decide(MaildropEntry entry, string queueId, CleanupStatus status)
    {
        if (status is CleanupStatus.Queued or CleanupStatus.Duplicate or CleanupStatus.Discarded)
        {
            return true;
        }

        string why = status switch
        {
            CleanupStatus.TooLarge => "message file too big",
            CleanupStatus.TooManyHops => "too many hops",
            CleanupStatus.NoSpace => "insufficient system storage",
            CleanupStatus.TableError => "service unavailable",
            _ => "queue file write error",
        };
        log.Warning($"maildrop/{entry.Name}: error writing {queueId}: {why}");
        if (status is CleanupStatus.TooLarge or CleanupStatus.TooManyHops && _refused.Count < RememberedLimit)
        {
            // It will be refused again until the settings change: kept, but not copied every minute.
            _refused.Add(entry.Key);
        }

        return false;
    }

    private static Envelope Envelope(MaildropEntry entry, MaildropMessage message, string queueId, DateTimeOffset arrival) => new()
    {
        QueueId = queueId,
        Arrival = arrival,
        Sender = message.Sender ?? "",
        Recipients = [],
        Origin = MessageOrigin.Local,
        Return = message.Return,
        EnvelopeId = message.EnvelopeId,
        Encoding = message.Encoding,
        MaildropKey = entry.Key,
        SenderFullName = message.FullName,
    };

    /// <summary>The second reading: the content's records become lines ended by CRLF.</summary>
    private async ValueTask<bool> CopyContentAsync(Stream file, ICleanupMessage queued, string received, CancellationToken cancellationToken)
    {
        var reader = new RecordReader(file, options.LineLengthLimit);
        var lines = new ContentLines(queued, options.ReplaceStrayCrLf);
        await queued.WriteAsync(Encoding.UTF8.GetBytes(received), cancellationToken);
        bool inContent = false;
        while (await reader.ReadAsync(cancellationToken) == RecordReadStatus.Record)
        {
            if (inContent && reader.Type is RecordType.Line or RecordType.Continued)
            {
                await lines.AddAsync(reader.Data, reader.Type == RecordType.Line, cancellationToken);
            }
            else if (inContent)
            {
                await lines.EndAsync(cancellationToken);
                return reader.Type == RecordType.Extracted;
            }

            inContent |= reader.Type == RecordType.Message;
        }

        return false;
    }

    /// <summary>When postdrop took the message, else the file's time; now, where clocks disagree.</summary>
    private DateTimeOffset ArrivalOf(MaildropEntry entry, MaildropMessage message, string queueId)
    {
        DateTimeOffset now = clock.GetUtcNow();
        DateTimeOffset arrival = message.Arrival ?? DateTimeOffset.FromUnixTimeSeconds(entry.Status.ModifiedSeconds);
        if (arrival > now + TimeSpan.FromHours(2))
        {
            log.Warning($"{queueId}: message maildrop/{entry.Name} dated {(long)(arrival - now).TotalSeconds} seconds into the future");
            return now;
        }

        if (arrival < now - TimeSpan.FromDays(1))
        {
            log.Warning($"{queueId}: message maildrop/{entry.Name} has been queued for {(int)(now - arrival).TotalDays} days");
        }

        return arrival;
    }

    private string OriginalId(MaildropEntry entry) =>
        entry.Status.Uid == options.OwnerUid && !entry.Status.IsReadableByOthers ? $" orig_id={entry.Name}" : "";

    private string Received(uint uid, string queueId, DateTimeOffset arrival) =>
        $"Received: by {options.MyHostName} ({options.MailName}, from userid {uid})\r\n\tid {queueId}; {MailDate.Format(arrival, clock.LocalTimeZone)}\r\n";
}
