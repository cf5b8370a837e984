using Microsoft.Win32.SafeHandles;
using Postwright.Core.Logging;
using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // The agent process: a thread a connection, since an identity belongs to a thread.

/// <summary>
/// The agent process's side: accepts connections on a private socket, checks who is there, and serves each on a thread of its own,
/// one request after the other: receive, deliver under the recipient's identity, answer. A connection that sends nonsense, or
/// whose thread's identity cannot be trusted any more, is ended; nothing it does touches the others.
/// </summary>
/// <param name="services">What to deliver with.</param>
/// <param name="allowedUser">The only user, beside our own, whose connections are served: mail_owner.</param>
/// <param name="log">For refused peers and malformed frames.</param>
public sealed class AgentServer(AgentServices services, uint allowedUser, MailLog log) : IDisposable
{
    // As many as mail's own limit on delivery threads, and some for a mail process that is just ending.
    private const int ConnectionLimit = 2 * DeliveryWorkers.DefaultLimit;
    private readonly Lock _lock = new();
    private readonly HashSet<FrameSocket> _connections = [];
    private readonly CancellationTokenSource _stop = new();
    private InUse _services = new(services);
    private TaskCompletionSource? _unused;
    private int _listener = -1;
    private bool _finishing;

    /// <summary>
    /// Takes no connection any more, and completes when the last one has ended: mail has had every answer then. Without the first, one
    /// that came at the wrong moment would be in the middle of a delivery when the process ends, and the delivery be made twice.
    /// </summary>
    public Task FinishAsync()
    {
        lock (_lock)
        {
            _finishing = true;
            ShutDownListener();
        }

        return UnusedAsync();
    }

    /// <summary>Completes when no connection is open: mail has had every answer, and has ended.</summary>
    public Task UnusedAsync()
    {
        lock (_lock)
        {
            return _connections.Count == 0 ? Task.CompletedTask : (_unused ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>
    /// After a reload: requests that come from now on are delivered with these. Those before them are disposed when the last
    /// delivery with them is done.
    /// </summary>
    public void Replace(AgentServices newServices)
    {
        InUse old;
        lock (_lock)
        {
            (old, _services) = (_services, new InUse(newServices));
        }

        Leave(old);
    }

    /// <summary>Serves a listening socket until <see cref="Dispose"/>; blocks. Takes the descriptor over.</summary>
    public void Run(int listener)
    {
        lock (_lock)
        {
            if (_finishing || _stop.IsCancellationRequested)
            {
                _ = DeliveryFile.Close(listener);
                return;
            }

            _listener = listener;
        }

        while (FrameSocket.Accept(listener) is { } connection)
        {
            Start(connection);
        }

        lock (_lock)
        {
            _listener = -1;
            _ = DeliveryFile.Close(listener);
        }
    }

    /// <summary>Serves one connection on a thread of its own; takes it over.</summary>
    public void Start(FrameSocket connection)
    {
        uint? peer = connection.PeerUser;
        bool accepted = peer is { } user && (user == allowedUser || user == Identity.EffectiveUser);
        lock (_lock)
        {
            if (_finishing)
            {
                connection.Dispose();
                return;
            }

            accepted = accepted && !_stop.IsCancellationRequested && _connections.Count < ConnectionLimit && _connections.Add(connection);
        }

        if (!accepted)
        {
            log.Warning($"agent: connection from user {peer?.ToString(null, null) ?? "unknown"} refused");
            connection.Dispose();
            return;
        }

        new Thread(() => Serve(connection), 512 * 1024) { IsBackground = true, Name = "agent" }.Start();
    }

    /// <summary>Ends: no new requests; deliveries under way are finished but their recipients after the present one deferred.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_stop.IsCancellationRequested)
            {
                return;
            }

            _stop.Cancel();
            ShutDownListener();
            foreach (FrameSocket connection in _connections)
            {
                connection.Shutdown();
            }
        }
    }

    private void ShutDownListener()
    {
        if (_listener >= 0)
        {
            FrameSocket.ShutdownListener(_listener);
        }
    }

    private IReadOnlyList<RecipientResult> Deliver(AgentRequest request)
    {
        InUse now;
        lock (_lock)
        {
            now = _services;
            now.Users++;
        }

        try
        {
            return now.Services.Deliver(request, _stop.Token);
        }
        finally
        {
            Leave(now);
        }
    }

    private void Leave(InUse one)
    {
        lock (_lock)
        {
            if (--one.Users > 0)
            {
                return;
            }
        }

        one.Services.Dispose();
    }

    private void Serve(FrameSocket connection)
    {
        try
        {
            TableQuestions.Line line = TableQuestions.Use(connection);
            while (!line.IsBroken && connection.Receive(AgentFrames.RequestLimit, out SafeFileHandle? file) is { } frame)
            {
                AgentRequest request = AgentFrames.Decode(frame, file);
                using AgentContent content = request.Content;
                connection.Send(AgentFrames.Encode(Deliver(request)));
            }
        }
        catch (IdentityLostException failure)
        {
            log.Error($"agent: {failure.Message}; the worker ends");
        }
        catch (InvalidDataException failure)
        {
            log.Warning($"agent: {failure.Message}; the connection is closed");
        }
        catch (IOException failure)
        {
            if (!_stop.IsCancellationRequested)
            {
                log.Warning($"agent: {failure.Message}");
            }
        }
        finally
        {
            lock (_lock)
            {
                _connections.Remove(connection);
                connection.Dispose();
                if (_connections.Count == 0)
                {
                    _unused?.TrySetResult();
                    _unused = null;
                }
            }
        }
    }

    /// <summary>Services, and how many hold them: this server until a reload, and every delivery.</summary>
    private sealed class InUse(AgentServices services)
    {
        public AgentServices Services { get; } = services;

        public int Users { get; set; } = 1;
    }
}
