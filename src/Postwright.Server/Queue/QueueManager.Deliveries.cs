using Postwright.Server.Deliver;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Route;

namespace Postwright.Server.Queue;

// From a recipient's route to a delivery and its result. Where a recipient cannot go (bad address, table failure, unknown
// or deferred transport, dead destination) it is redirected to the error or retry transport with the reason as next hop,
// as in Postfix, so that every recipient gets a log line and a result in the same way.

public sealed partial class QueueManager
{
    private const string ErrorService = "error";
    private const string RetryService = "retry";

    // What runs in the loop's own turn never looks at the content.
    private static readonly MemoryContent NoContent = new(ReadOnlyMemory<byte>.Empty);

    private readonly Dictionary<string, TransportQueue> _queues = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _unknownTransports = new(StringComparer.Ordinal);
    private readonly Queue<TransportQueue> _listed = new();
    private readonly PriorityQueue<object, TimeSpan> _wakes = new();

    /// <summary>Puts a recipient in its line.</summary>
    private void Schedule(ActiveMessage message, int index, ResolvedAddress route)
    {
        if (IsOwnDiscard(route))
        {
            RecipientResult discarded = new(index, DeliveryStatus.Sent, "2.0.0", "undeliverable postmaster notification discarded", "none");
            Delays delays = new(message.Activated - message.Envelope.Arrival, _now - message.Activated, default, default);
            _log.Info(_deliveryLog.Line(message.QueueId, route.Address, message.Recipients[index].OriginalAddress, delays, discarded));
            message.Open--;
            message.Progress[index] = RecipientProgress.Done;
            return;
        }

        Destination destination = FindDestination(message, route) ?? Redirect(RetryService, "4.3.0 mail transport unavailable");
        if (destination.Dead is { } dead)
        {
            if (dead.Until <= _uptime)
            {
                destination.Revive();
            }
            else
            {
                destination = Redirect(RetryService, Suspended(dead));
            }
        }

        Peer peer = message.JobFor(destination.Transport).PeerFor(destination);
        peer.Recipients.Enqueue(new WaitingRecipient(index, route.Address));
        if (!peer.IsWaiting)
        {
            peer.IsWaiting = true;
            destination.Transport.Enqueue(peer, _uptime);
        }

        List(destination.Transport);
    }

    /// <summary>Mail to the sender of our own notices ends here, so that no loop can begin.</summary>
    private bool IsOwnDiscard(ResolvedAddress route)
    {
        if (route.Status != ResolveStatus.Resolved || route.Class != AddressClass.Local)
        {
            return false;
        }

        int at = route.Address.LastIndexOf('@');
        return MemoryExtensions.Equals(
            route.Address.AsSpan(0, at < 0 ? route.Address.Length : at), _options.DoubleBounceSender, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The destination of a route; null if the transport does not exist.</summary>
    private Destination? FindDestination(ActiveMessage message, ResolvedAddress route)
    {
        if (route.Status == ResolveStatus.TemporaryError)
        {
            return Redirect(RetryService, "4.3.0 address resolver failure");
        }

        if (route.Status == ResolveStatus.BadAddress || (!_options.AllowMinUser && route.Address.StartsWith('-')))
        {
            return Redirect(ErrorService, "5.1.3 bad address syntax");
        }

        if (!message.IsFlushed && _options.DeferTransports.Contains(route.Transport))
        {
            return Redirect(RetryService, "4.3.2 deferred transport");
        }

        TransportQueue? transport = FindTransport(route.Transport);
        return transport?.Destination(KeyOf(transport, route), route.NextHop);
    }

    /// <summary>With one recipient a delivery, each recipient (without its extension) is a destination of its own.</summary>
    private string KeyOf(TransportQueue transport, ResolvedAddress route)
    {
        if (transport.Limits.RecipientLimit != 1 || transport.IsImmediate)
        {
            return route.NextHop;
        }

        int at = route.Address.LastIndexOf('@');
        string local = at < 0 ? route.Address : route.Address[..at];
        int delimiter = _options.RecipientDelimiter.Length == 0 ? -1 : local.AsSpan().IndexOfAny(_options.RecipientDelimiter);
        return (delimiter > 0 ? local[..delimiter] : local) + "@" + route.NextHop;
    }

    private Destination Redirect(string service, string text) =>
        FindTransport(service)!.Destination(text, text);

    private static string Suspended(DeadMark dead) => $"{dead.Dsn} delivery temporarily suspended: {dead.Reason}";

    private TransportQueue? FindTransport(string name)
    {
        if (_queues.TryGetValue(name, out TransportQueue? queue))
        {
            return queue;
        }

        if (_unknownTransports.TryGetValue(name, out TimeSpan until) && until > _uptime)
        {
            return null;
        }

        if (ServiceOf(name) is not { } service)
        {
            _log.Warning($"connect to transport private/{name}: No such file or directory");
            _unknownTransports[name] = _uptime + _options.TransportRetry;
            return null;
        }

        queue = new TransportQueue(name, service);
        _queues.Add(name, queue);
        return queue;
    }

    /// <summary>What master.cf has under that name; error and retry are there in any case.</summary>
    private TransportService? ServiceOf(string name)
    {
        TransportService? service = _transports(name);
        return service is null && name is ErrorService or RetryService
            ? new TransportService(new ErrorTransport(name == RetryService), new TransportLimits(), _log.For(ErrorService, _log.Number))
            : service;
    }

    private void List(TransportQueue transport)
    {
        if (!transport.IsListed)
        {
            transport.IsListed = true;
            _listed.Enqueue(transport);
        }
    }

    private void Dispatch()
    {
        while (!IsStopping && _listed.TryDequeue(out TransportQueue? transport))
        {
            transport.IsListed = false;
            while (transport.IsOpen(_uptime) && transport.TryTake(_uptime, out Peer peer))
            {
                peer.IsWaiting = false;
                if (peer.Recipients.Count > 0)
                {
                    Start(peer);
                }

                transport.Offer(peer.Destination, _uptime);
                Unpark(peer.Destination);
            }
        }

        LimitContent();
    }

    private void Start(Peer peer)
    {
        TransportQueue transport = peer.Job.Transport;
        ActiveMessage message = peer.Job.Message;
        int limit = transport.Limits.RecipientLimit;
        int count = limit == 0 ? peer.Recipients.Count : Math.Min(limit, peer.Recipients.Count);
        DeliveryRecipient[] recipients = new DeliveryRecipient[count];
        for (int i = 0; i < count; i++)
        {
            WaitingRecipient next = peer.Recipients.Dequeue();
            recipients[i] = new DeliveryRecipient(next.Index, message.Recipients[next.Index], next.Address);
        }

        if (peer.Recipients.Count > 0)
        {
            peer.IsWaiting = true;
            peer.Destination.Waiting.Enqueue(peer);
        }

        Delivery delivery = new(message, peer, transport.Service, recipients);
        transport.Busy++;
        peer.Destination.Busy++;
        message.InFlight++;
        if (transport.IsImmediate)
        {
            DeliverNow(delivery);
            return;
        }

        // They are open: the service of now is retired only after the queue manager has gone over to the next.
        _ = delivery.Service.Tables?.TryHold();
        _working++;
        _waitingContent -= message.HeldContent;
        message.HeldContent = 0;
        _ = DeliverAsync(delivery, message.Stored?.Content);
    }

    private void DeliverNow(Delivery delivery)
    {
        TransportService service = delivery.Service;
        DeliveryRequest request = Request(delivery, NoContent, _now);
        ValueTask<IReadOnlyList<RecipientResult>> answer = service.Agent.DeliverAsync(request, CancellationToken.None);
        if (!answer.IsCompletedSuccessfully)
        {
            throw new InvalidOperationException($"the immediate transport {request.Transport} did not answer at once");
        }

        delivery.Results = answer.Result;
        _deliveryLog.Write(service.Log, request, delivery.Results);
        Finish(delivery);
    }

    /// <summary>Runs one delivery outside the loop and posts it back, whatever happens.</summary>
    private async Task DeliverAsync(Delivery delivery, MessageContent? content)
    {
        await Task.Yield();
        TransportService service = delivery.Service;
        StoredMessage? reloaded = null;
        DeliveryRequest? request = null;
        try
        {
            if (content is null)
            {
                reloaded = await _store.LoadAsync(delivery.Message.QueueId, _stop);
                content = reloaded?.Content;
            }

            if (content is null)
            {
                delivery.Results = AllDeferred(delivery, "4.3.0", "queue file is gone");
            }
            else
            {
                request = delivery.Recipients.Length == 1 ? Request(delivery, content, _time.GetUtcNow()) : RequestOfMany(delivery, content);
                delivery.Results = await service.Agent.DeliverAsync(request, _stop);
            }
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // An agent that throws is a bug, a cancellation or a failed disk: no recipient is lost by it, all are tried again.
            if (!IsStopping)
            {
                service.Log.Error($"{delivery.Message.QueueId}: {error.GetType().Name}: {error.Message}");
            }

            delivery.Results = AllDeferred(delivery, "4.3.0", "unknown mail transport error");
        }
        finally
        {
            reloaded?.Dispose();
            service.Tables?.LetGo();
        }

        delivery.Results = Complete(delivery);
        if (request is not null)
        {
            _deliveryLog.Write(service.Log, request, News(delivery));
        }

        Post(delivery);
    }

    /// <summary>What is not logged yet. What the stop itself put off is no news: it is tried again after the next start.</summary>
    private IReadOnlyList<RecipientResult> News(Delivery delivery)
    {
        bool isStopping = IsStopping;
        return delivery.Early is null && !isStopping
            ? delivery.Results
            : [.. delivery.Results.Where(result => delivery.Early?.ContainsKey(result.Index) != true && (!isStopping || result.Status != DeliveryStatus.Deferred))];
    }

    private DeliveryRequest RequestOfMany(Delivery delivery, MessageContent content)
    {
        DeliveryRequest request = null!;
        request = Request(delivery, content, _time.GetUtcNow(), results => TakeEarly(delivery, request, results));
        return request;
    }

    /// <summary>Some recipients are done, others of the same delivery may take long: a crash meanwhile must not repeat the former.</summary>
    private void TakeEarly(Delivery delivery, DeliveryRequest request, IReadOnlyList<RecipientResult> results)
    {
        delivery.Early ??= [];
        foreach (RecipientResult result in results)
        {
            delivery.Early[result.Index] = result;
        }

        _deliveryLog.Write(delivery.Service.Log, request, results);
        Post(() =>
        {
            ActiveMessage message = delivery.Message;
            foreach (RecipientResult result in results)
            {
                Account(message, delivery.Recipients.First(recipient => recipient.Index == result.Index), result, delivery.Peer.Job.Transport);
            }

            RoundMayEnd(message);
        });
    }

    private static RecipientResult[] AllDeferred(Delivery delivery, string dsn, string reason) =>
        [.. delivery.Recipients.Select(recipient => new RecipientResult(recipient.Index, DeliveryStatus.Deferred, dsn, reason, "none"))];

    /// <summary>
    /// One result per recipient, in their order: what the agent left out is deferred, what it made up is dropped, and what it said
    /// early it cannot take back, even by an exception.
    /// </summary>
    private static IReadOnlyList<RecipientResult> Complete(Delivery delivery)
    {
        IReadOnlyList<RecipientResult> results = delivery.Results;
        DeliveryRecipient[] recipients = delivery.Recipients;
        bool inOrder = results.Count == recipients.Length && delivery.Early is null;
        for (int i = 0; inOrder && i < recipients.Length; i++)
        {
            inOrder = results[i].Index == recipients[i].Index;
        }

        if (inOrder)
        {
            return results;
        }

        Dictionary<int, RecipientResult> byIndex = [];
        foreach (RecipientResult result in results)
        {
            byIndex[result.Index] = delivery.Early?.GetValueOrDefault(result.Index) ?? result;
        }

        return [.. recipients.Select(recipient => byIndex.GetValueOrDefault(recipient.Index)
            ?? new RecipientResult(recipient.Index, DeliveryStatus.Deferred, "4.3.0", "unknown mail transport error", "none"))];
    }

    private DeliveryRequest Request(
        Delivery delivery, MessageContent content, DateTimeOffset started, Action<IReadOnlyList<RecipientResult>>? decided = null) => new()
        {
            Envelope = delivery.Message.Envelope,
            Content = content,
            Transport = delivery.Peer.Job.Transport.Name,
            NextHop = delivery.Peer.Destination.NextHop,
            Recipients = delivery.Recipients,
            Activated = delivery.Message.Activated,
            Started = started,
            Decided = decided,
            GiveUp = _giveUp,
        };
}
