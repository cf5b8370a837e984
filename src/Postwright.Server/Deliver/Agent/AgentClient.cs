using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// Mail's side: a delivery is a request and an answer on one of a few kept connections, on a delivery thread. When the agent is
/// gone (it is restarted by master) the recipients are deferred; a request that may have been begun is never sent twice.
/// </summary>
/// <param name="connect">Opens a connection: <c>() =&gt; FrameSocket.Connect(path)</c>.</param>
/// <param name="workers">The threads; their number is the number of connections.</param>
/// <param name="log">For a lost agent.</param>
public sealed class AgentClient(Func<FrameSocket> connect, DeliveryWorkers workers, MailLog log) : IDeliveryAgent, IDisposable
{
    private readonly ConcurrentBag<FrameSocket> _idle = [];
    private volatile bool _disposed;

    /// <inheritdoc />
    public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await workers.RunAsync(() => Deliver(request), cancellationToken);
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
        {
            return InProcessAgent.Deferred(request, "4.3.2", "delivery interrupted by shutdown");
        }
    }

    /// <summary>Closes the kept connections; those in use when their delivery is done.</summary>
    public void Dispose()
    {
        _disposed = true;
        while (_idle.TryTake(out FrameSocket? connection))
        {
            connection.Dispose();
        }
    }

    private IReadOnlyList<RecipientResult> Deliver(DeliveryRequest request)
    {
        try
        {
            using SafeFileHandle? copy = Prepare(request.Content, out ReadOnlyMemory<byte> inline, out SafeFileHandle? file, out long offset);
            using AgentContent content = file is null ? new MemoryAgentContent(inline) : new FileAgentContent(file, offset, request.Content.Length, ownsFile: false);
            byte[] frame = AgentFrames.Encode(AgentRequest.From(request, content), inline.Span, file is not null, offset);
            if (frame.Length > AgentFrames.RequestLimit)
            {
                return InProcessAgent.Deferred(request, "4.3.5", "mail system configuration error");
            }

            return Complete(request, Exchange(frame, file));
        }
        catch (Exception failure) when (failure is IOException or InvalidDataException)
        {
            log.Warning($"{request.Envelope.QueueId}: agent: {failure.Message}");
            return InProcessAgent.Deferred(request, "4.3.0", "mail transport unavailable");
        }
    }

    private byte[] Exchange(byte[] frame, SafeFileHandle? file)
    {
        FrameSocket connection = SendOn(frame, file);
        bool kept = false;
        try
        {
            byte[] answer = connection.Receive(AgentFrames.AnswerLimit, out SafeFileHandle? unexpected) ?? throw new IOException("the agent ended before its answer");
            unexpected?.Dispose();
            kept = unexpected is null && !_disposed;
            if (kept)
            {
                _idle.Add(connection);
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

    // A kept connection may have died with an agent that was restarted; a request that could not be sent whole was not begun.
    private FrameSocket SendOn(byte[] frame, SafeFileHandle? file)
    {
        while (_idle.TryTake(out FrameSocket? old))
        {
            try
            {
                old.Send(frame, file);
                return old;
            }
            catch (IOException)
            {
                old.Dispose();
            }
        }

        FrameSocket connection = connect();
        try
        {
            connection.Send(frame, file);
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
}
