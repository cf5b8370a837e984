using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Tables;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// Mail's side: a delivery is a request and an answer on one of a few kept connections. When the agent is
/// gone (it is restarted by master) the recipients are deferred; a request that may have been begun is never sent twice. Before its
/// answer the agent may ask for tables on servers (<see cref="With"/>).
/// </summary>
/// <param name="agent">Where the agent is.</param>
/// <param name="log">For a lost agent.</param>
public sealed class AgentClient(IAgentEndpoint agent, MailLog log) : IDeliveryAgent, IDisposable
{
    private readonly ConcurrentBag<IAgentConnection> _idle = [];
    private volatile bool _disposed;

    /// <summary>The client of an agent behind real sockets.</summary>
    public AgentClient(Func<FrameSocket> connect, DeliveryWorkers workers, MailLog log)
        : this(new AgentEndpoint(connect, workers), log)
    {
    }

    /// <summary>The same agent, which is told what tables on servers say. Without, it is told that they cannot be asked.</summary>
    public IDeliveryAgent With(ServedTables tables) => new Serving(this, tables);

    /// <inheritdoc />
    public ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken) =>
        DeliverAsync(request, static (table, _, _) => LookupResult.TemporaryError($"{table}: tables on servers cannot be asked"), cancellationToken);

    private async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, Lookup lookup, CancellationToken cancellationToken)
    {
        try
        {
            return await agent.RunAsync(
                () =>
                {
                    // It may have waited for a thread; what the agent has begun is heard to its end, tables included.
                    cancellationToken.ThrowIfCancellationRequested();
                    return DeliverAllAsync(request, question => lookup(question.Table, question.Key, request.GiveUp), cancellationToken);
                },
                cancellationToken);
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
        {
            return Interrupted(request);
        }
    }

    /// <summary>Closes the kept connections; those in use when their delivery is done.</summary>
    public void Dispose()
    {
        _disposed = true;
        while (_idle.TryTake(out IAgentConnection? connection))
        {
            connection.Dispose();
        }
    }

    // A frame holds so many recipients, and so many bytes of them; more are asked for half by half. Where one half went wrong the
    // other may still go well.
    private async ValueTask<IReadOnlyList<RecipientResult>> DeliverAllAsync(
        DeliveryRequest request, Func<(string Table, string Key), LookupResult> lookup, CancellationToken cancellationToken)
    {
        int count = request.Recipients.Count;
        if (count <= AgentFrames.RecipientLimit && await DeliverAsync(request, lookup) is { } results)
        {
            return results;
        }

        DeliveryRequest first = request with { Recipients = [.. request.Recipients.Take(count / 2)] };
        DeliveryRequest second = request with { Recipients = [.. request.Recipients.Skip(count / 2)] };
        results = await DeliverAllAsync(first, lookup, cancellationToken);
        return
        [
            .. results,
            .. cancellationToken.IsCancellationRequested ? Interrupted(second) : await DeliverAllAsync(second, lookup, cancellationToken),
        ];
    }

    private static IReadOnlyList<RecipientResult> Interrupted(DeliveryRequest request) =>
        InProcessAgent.Deferred(request, "4.3.2", "delivery interrupted by shutdown");

    /// <summary>One request and its answer; null when the request is too large and can be cut.</summary>
    private async ValueTask<IReadOnlyList<RecipientResult>?> DeliverAsync(DeliveryRequest request, Func<(string Table, string Key), LookupResult> lookup)
    {
        try
        {
            using SafeFileHandle? copy = Prepare(request.Content, out ReadOnlyMemory<byte> inline, out SafeFileHandle? file, out long offset);
            using AgentContent content = file is null ? new MemoryAgentContent(inline) : new FileAgentContent(file, offset, request.Content.Length, ownsFile: false);
            byte[] frame = AgentFrames.Encode(AgentRequest.From(request, content), inline.Span, file is not null, offset);
            if (frame.Length > AgentFrames.RequestLimit)
            {
                return request.Recipients.Count > 1 ? null : InProcessAgent.Deferred(request, "4.3.5", "mail system configuration error");
            }

            return Complete(request, await ExchangeAsync(frame, file, lookup));
        }
        catch (Exception failure) when (failure is IOException or InvalidDataException)
        {
            log.Warning($"{request.Envelope.QueueId}: agent: {failure.Message}");
            return InProcessAgent.Deferred(request, "4.3.0", "mail transport unavailable");
        }
    }

    private async ValueTask<byte[]> ExchangeAsync(byte[] frame, SafeFileHandle? file, Func<(string Table, string Key), LookupResult> lookup)
    {
        IAgentConnection connection = await SendOnAsync(frame, file);
        bool kept = false;
        try
        {
            byte[] answer = await ReceiveAsync(connection);
            while (AgentFrames.Is(FrameKind.Question, answer))
            {
                await SayAsync(connection, TableFrames.Answer(lookup(TableFrames.ReadQuestion(answer))));
                answer = await ReceiveAsync(connection);
            }

            kept = !_disposed;
            if (kept)
            {
                _idle.Add(connection);
                if (_disposed)
                {
                    // Dispose may have emptied the bag before this one came into it.
                    Dispose();
                }
            }

            return answer;
        }
        finally
        {
            if (!kept)
            {
                connection.Dispose();
            }
        }
    }

    private static async ValueTask<byte[]> ReceiveAsync(IAgentConnection connection) =>
        await connection.ReceiveAsync(AgentFrames.AnswerLimit) ?? throw new IOException("the agent ended before its answer");

    // An agent that did not wait for this has left its results, which are still to be read, and closed the connection.
    private static async ValueTask SayAsync(IAgentConnection connection, byte[] answer)
    {
        try
        {
            await connection.SendAsync(answer, null);
        }
        catch (IOException)
        {
        }
    }

    // A kept connection may have died with an agent that was restarted; a request that could not be sent whole was not begun.
    private async ValueTask<IAgentConnection> SendOnAsync(byte[] frame, SafeFileHandle? file)
    {
        while (_idle.TryTake(out IAgentConnection? old))
        {
            try
            {
                await old.SendAsync(frame, file);
                return old;
            }
            catch (IOException)
            {
                old.Dispose();
            }
        }

        IAgentConnection connection = agent.Connect();
        try
        {
            if (connection.PeerUser is not { } peer || (peer != 0 && peer != Identity.EffectiveUser))
            {
                throw new IOException("neither root nor this user is at the other end");
            }

            await connection.SendAsync(frame, file);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // Small content inline; a file of the spool as it is; anything else through a file in memory, which is returned to be closed.
    private static SafeFileHandle? Prepare(MessageContent content, out ReadOnlyMemory<byte> inline, out SafeFileHandle? file, out long offset)
    {
        file = null;
        offset = 0;
        if (content.Length <= AgentFrames.InlineLimit && content.TryGetMemory(out inline))
        {
            return null;
        }

        inline = default;
        if (content.TryGetFile(out file, out offset))
        {
            return null;
        }

        offset = 0;
        return file = QueueContent.Copy(content);
    }

    // Exactly one result per recipient: what the agent left out is deferred, what it made up is dropped.
    private static IReadOnlyList<RecipientResult> Complete(DeliveryRequest request, byte[] answer)
    {
        var byIndex = new Dictionary<int, RecipientResult>();
        foreach (RecipientResult result in AgentFrames.DecodeAnswer(answer))
        {
            byIndex[result.Index] = result;
        }

        return [.. InProcessAgent.Deferred(request, "4.3.0", "mail transport unavailable").Select(missing => byIndex.GetValueOrDefault(missing.Index, missing))];
    }

    private delegate LookupResult Lookup(string table, string key, CancellationToken cancellationToken);

    private sealed class Serving(AgentClient client, ServedTables tables) : IDeliveryAgent
    {
        public ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken) =>
            client.DeliverAsync(request, tables.Lookup, cancellationToken);
    }
}
