using Postwright.Core.Logging;
using Postwright.Core.Seams;

namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// The smtp and lmtp transports: finds the destination's exchangers, tries them in order until every recipient has a verdict,
/// and leaves the session for the next message. One exchanger's temporary failure is not the destination's; the last one's is.
/// A destination that cannot be reached is reported as a site failure, so that the queue manager can give it a rest.
/// </summary>
internal sealed class SmtpTransport : IDeliveryAgent, IAsyncDisposable
{
    private const int SmtpPort = 25;
    private const int LmtpPort = 24;

    private readonly SmtpClientOptions _options;
    private readonly INetwork _network;
    private readonly TimeProvider _timeProvider;
    private readonly MailLog _log;
    private readonly MailExchangers _exchangers;
    private readonly SmtpConnectionCache _cache;

    public SmtpTransport(SmtpClientOptions options, INetwork network, IDnsResolver dns, TimeProvider timeProvider, IChance chance, MailLog log)
    {
        _options = options;
        _network = network;
        _timeProvider = timeProvider;
        _log = log;
        _exchangers = new MailExchangers(options, dns, chance);
        _cache = new SmtpConnectionCache(options, timeProvider);
    }

    public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        RecipientOutcomes outcomes = new(request);
        try
        {
            await TryDestinationsAsync(request, outcomes, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            DelayOpen(outcomes, new SessionFailure("4.3.2", "delivery was interrupted by the mail system's shutdown", false), "none", siteFailure: false);
        }

        return outcomes.ToResults();
    }

    public ValueTask DisposeAsync() => _cache.DisposeAsync();

    private async ValueTask TryDestinationsAsync(DeliveryRequest request, RecipientOutcomes outcomes, CancellationToken cancellationToken)
    {
        long started = _timeProvider.GetTimestamp();
        if (_options.CacheConnections && await TryCachedAsync(request, outcomes, started, cancellationToken))
        {
            return;
        }

        await TryDestinationAsync(request.NextHop, request, outcomes, started, cancellationToken);
        foreach (string relay in _options.FallbackRelays)
        {
            if (outcomes.Open.Count == 0)
            {
                return;
            }

            await TryDestinationAsync(relay, request, outcomes, started, cancellationToken);
        }
    }

    /// <summary>Uses waiting sessions; one that has died in the meantime is passed over. True if every recipient has a verdict.</summary>
    private async ValueTask<bool> TryCachedAsync(DeliveryRequest request, RecipientOutcomes outcomes, long started, CancellationToken cancellationToken)
    {
        while (_cache.TryTake(request.NextHop, out SmtpSession? session))
        {
            if (await DeliverOverAsync(session, request.NextHop, request, outcomes, started, cancellationToken))
            {
                return outcomes.Open.Count == 0;
            }
        }

        return false;
    }

    private async ValueTask TryDestinationAsync(string destination, DeliveryRequest request, RecipientOutcomes outcomes, long started, CancellationToken cancellationToken)
    {
        if (!NextHop.TryParse(destination, _options.IsLmtp ? LmtpPort : SmtpPort, out NextHop nextHop, out string? error))
        {
            _log.Warning(error!);
            DelayOpen(outcomes, new SessionFailure("4.3.5", error!, false), "none", siteFailure: true);
            return;
        }

        ExchangerList found = await _exchangers.FindAsync(nextHop, cancellationToken);
        if (found.Exchangers.Count == 0)
        {
            SettleUnreachable(outcomes, found);
            return;
        }

        int sessions = 0;
        int addresses = 0;
        foreach (MailExchanger exchanger in found.Exchangers)
        {
            if (outcomes.Open.Count == 0 || (_options.AddressLimit > 0 && ++addresses > _options.AddressLimit)
                || (_options.SessionLimit > 0 && sessions >= _options.SessionLimit))
            {
                break;
            }

            (SmtpSession? session, SessionFailure? failure) = await SmtpSession.OpenAsync(_options, exchanger, _network, _timeProvider, cancellationToken);
            if (session is null)
            {
                NoteUnusable(outcomes, exchanger, failure!, started, ref sessions);
                continue;
            }

            sessions++;
            await DeliverOverAsync(session, destination, request, outcomes, started, cancellationToken);
        }
    }

    /// <summary>One message over one session. False if the session turned out to be dead before anything was said.</summary>
    private async ValueTask<bool> DeliverOverAsync(
        SmtpSession session, string destination, DeliveryRequest request, RecipientOutcomes outcomes, long started, CancellationToken cancellationToken)
    {
        bool fromCache = session.Uses > 0;
        session.Uses++;
        SmtpTransaction transaction = new(_options, session, request, outcomes, _timeProvider) { Setup = _timeProvider.GetElapsedTime(started) };
        SessionFailure? failure;
        try
        {
            failure = await transaction.RunAsync(cancellationToken);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }

        outcomes.Sweep();
        if (failure is not null && !(fromCache && transaction.NothingHappened))
        {
            _log.Info($"{request.Envelope.QueueId}: {failure.Reason}");
            DelayOpen(outcomes, failure, session.Exchanger.Name, siteFailure: true);
        }

        if (failure is null)
        {
            await _cache.ReturnAsync(destination, session, cancellationToken);
        }
        else
        {
            await session.QuitAsync(cancellationToken);
        }

        return failure is null || !transaction.NothingHappened;
    }

    private void NoteUnusable(RecipientOutcomes outcomes, MailExchanger exchanger, SessionFailure failure, long started, ref int sessions)
    {
        if (failure.Connected)
        {
            sessions++;
        }
        else
        {
            _log.Info(failure.Reason);
        }

        TimeSpan setup = _timeProvider.GetElapsedTime(started);
        foreach (int position in outcomes.Open)
        {
            RecipientResult result = new(outcomes.IndexOf(position), failure.IsPermanent ? DeliveryStatus.Bounced : DeliveryStatus.Deferred,
                failure.Dsn, failure.Reason, failure.Connected ? exchanger.Name : "none")
            {
                RemoteMta = failure.RemoteMta,
                Diagnostic = failure.Diagnostic,
                Setup = setup,
                SiteFailure = true,
            };
            if (failure.IsPermanent)
            {
                outcomes.Decide(position, result);
            }
            else
            {
                outcomes.Delay(position, result);
            }
        }

        outcomes.Sweep();
    }

    private static void SettleUnreachable(RecipientOutcomes outcomes, ExchangerList found)
    {
        foreach (int position in outcomes.Open)
        {
            RecipientResult result = new(outcomes.IndexOf(position), found.IsPermanent ? DeliveryStatus.Bounced : DeliveryStatus.Deferred, found.Dsn, found.Reason, "none")
            {
                SiteFailure = !found.IsPermanent,
            };
            if (found.IsPermanent)
            {
                outcomes.Decide(position, result);
            }
            else
            {
                outcomes.Delay(position, result);
            }
        }

        outcomes.Sweep();
    }

    private static void DelayOpen(RecipientOutcomes outcomes, SessionFailure failure, string relay, bool siteFailure)
    {
        foreach (int position in outcomes.Open)
        {
            outcomes.Delay(position, new RecipientResult(outcomes.IndexOf(position), DeliveryStatus.Deferred, failure.Dsn, failure.Reason, relay)
            {
                SiteFailure = siteFailure,
            });
        }
    }
}
