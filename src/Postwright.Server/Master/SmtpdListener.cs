using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Server.Receive.Smtpd;

namespace Postwright.Server.Master;

/// <summary>
/// Accepts the clients of one listening socket and starts their sessions, each under the settings of that moment. All sockets of
/// a service share its count: at the limit nobody is accepted, so that new clients wait in the kernel's queue, as with Postfix
/// when all processes are busy; from 90% of it new sessions run under <c>stress = yes</c>.
/// </summary>
internal sealed class SmtpdListener(IListener listener, SmtpdServer server, Func<SmtpdRow?> row, SmtpdListener.Count count, TimeProvider time, MailLog log)
    : IAsyncDisposable
{
    // How often the warning about the limit may be repeated, as in Postfix.
    private static readonly TimeSpan WarningInterval = TimeSpan.FromSeconds(1000);
    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    /// <summary>Begins to accept.</summary>
    public void Start() => _loop = AcceptAsync();

    /// <summary>Ends accepting; sessions go on.</summary>
    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _loop;
        await listener.DisposeAsync();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (row() is { } now)
            {
                await count.WaitBelowAsync(now, time, log, _stop.Token);
                IConnection connection = await listener.AcceptAsync(_stop.Token);
                if (TableRegistry.HoldCurrent(row, static now => now.Tables) is not { } held)
                {
                    await connection.DisposeAsync();
                    break;
                }

                count.Add();
                Begin(connection, held, count.Sessions * 10L > held.SessionLimit * 9L ? held.Stressed : held.Calm);
            }
        }
        catch (OperationCanceledException)
        {
            // Stop or reload.
        }
    }

    private void Begin(IConnection connection, SmtpdRow held, SmtpdService service)
    {
        if (connection.Context is { } context)
        {
            context.Post(_ => _ = ServeAsync(connection, held, service), null);
        }
        else
        {
            _ = ServeAsync(connection, held, service);
        }
    }

    private async Task ServeAsync(IConnection connection, SmtpdRow held, SmtpdService service)
    {
        try
        {
            await server.RunAsync(connection, service);
        }
        finally
        {
            held.Tables.LetGo();
            count.Remove();
        }
    }

    /// <summary>How many sessions a service has, over all its sockets and all its configurations.</summary>
    internal sealed class Count
    {
        private readonly Lock _gate = new();
        private TaskCompletionSource<bool> _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _sessions;
        private volatile bool _waiting;
        private long _warnedAt;
        private bool _warned;

        /// <summary>Sessions now.</summary>
        public int Sessions => Volatile.Read(ref _sessions);

        /// <summary>One more.</summary>
        public void Add() => Interlocked.Increment(ref _sessions);

        /// <summary>One less.</summary>
        public void Remove()
        {
            Interlocked.Decrement(ref _sessions);
            if (_waiting)
            {
                TaskCompletionSource<bool> left;
                lock (_gate)
                {
                    left = _left;
                    _left = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
                }

                left.SetResult(true);
            }
        }

        /// <summary>Waits until there is room below the row's limit.</summary>
        public async ValueTask WaitBelowAsync(SmtpdRow row, TimeProvider time, MailLog log, CancellationToken cancellationToken)
        {
            while (Sessions >= row.SessionLimit)
            {
                // The flag and the task first, then the count once more: a session that ends in between is seen in one of them.
                _waiting = true;
                Task<bool> left;
                lock (_gate)
                {
                    left = _left.Task;
                }

                if (Sessions < row.SessionLimit)
                {
                    return;
                }

                Warn(row, time, log);
                await left.OrCancelledAsync(cancellationToken);
            }
        }

        private void Warn(SmtpdRow row, TimeProvider time, MailLog log)
        {
            if (_warned && time.GetElapsedTime(_warnedAt) < WarningInterval)
            {
                return;
            }

            _warned = true;
            _warnedAt = time.GetTimestamp();
            log.Warning($"service \"{row.Name}\" has reached its process limit \"{row.SessionLimit}\": new clients may experience noticeable delays");
        }
    }
}
