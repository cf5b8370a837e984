using System.Net.Sockets;
using System.Threading.Channels;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Server.Queue;

namespace Postwright.Server.Master.Control;

/// <summary>
/// The control socket: postqueue, postsuper and postcat talk to the running system here, and postdrop wakes pickup at a socket
/// beside it. What a client may do depends on who it is, as the kernel says: root and the mail system's own user
/// everything, the set-gid group listing and flushing, anybody else nothing.
/// </summary>
/// <param name="options">Where, and who.</param>
/// <param name="network">Listens.</param>
/// <param name="service">Does what is asked.</param>
/// <param name="wakePickup">Called when postdrop has left a message; must not block.</param>
/// <param name="log">Tagged with the mail system's name.</param>
/// <param name="clock">Measures idle clients.</param>
public sealed class ControlServer(ControlOptions options, INetwork network, ControlService service, Action wakePickup, MailLog log, TimeProvider clock)
{
    /// <summary>The control socket of a mail system, ready to run.</summary>
    /// <param name="options">Where, and who.</param>
    /// <param name="network">Listens.</param>
    /// <param name="queue">The queue manager.</param>
    /// <param name="store">The messages.</param>
    /// <param name="maildrop">What waits for pickup.</param>
    /// <param name="wakePickup">Makes pickup look; must not block.</param>
    /// <param name="log">The mail system's log.</param>
    /// <param name="clock">Measures idle clients.</param>
    public static ControlServer Create(
        ControlOptions options, INetwork network, IQueueControl queue, IMessageStore store, IMaildrop maildrop, Action wakePickup, MailLog log, TimeProvider clock) =>
        new(options, network, new ControlService(queue, store, new MaildropListing(maildrop), wakePickup), wakePickup, log, clock);

    /// <summary>Serves until cancelled.</summary>
    /// <exception cref="SocketException">The sockets cannot be made.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using IListener control = network.Listen(new UnixDomainSocketEndPoint(options.SocketPath));
        await using IListener pickup = network.Listen(new UnixDomainSocketEndPoint(options.PickupSocketPath));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] both = [ServeControlAsync(control, stop.Token), ServePickupAsync(pickup, stop.Token)];
        await Task.WhenAny(both);
        stop.Cancel();
        await Task.WhenAll(both);
    }

    private async Task ServeControlAsync(IListener listener, CancellationToken cancellationToken)
    {
        Channel<bool> places = Channel.CreateBounded<bool>(options.ClientLimit);
        var clients = new List<Task>();
        try
        {
            while (true)
            {
                await places.Writer.WriteAsync(true, cancellationToken);
                IConnection connection = await listener.AcceptAsync(cancellationToken);
                clients.RemoveAll(static client => client.IsCompleted);
                clients.Add(ServeClientAsync(connection, places.Reader, cancellationToken));
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await Task.WhenAll(clients);
        }
    }

    private async Task ServeClientAsync(IConnection connection, ChannelReader<bool> places, CancellationToken cancellationToken)
    {
        try
        {
            await using (connection)
            {
                var session = new ControlSession(connection, service, RightsOf(connection), options.IdleTime, clock);
                await session.RunAsync(cancellationToken);
            }
        }
        catch (IOException)
        {
            // The client went away, as it may at any time.
        }
        catch (OperationCanceledException)
        {
            // Shutdown, or a client that was idle for too long.
        }
        catch (Exception bug)
        {
            log.Panic($"control socket: {bug}");
        }
        finally
        {
            places.TryRead(out _);
        }
    }

    private ControlRights RightsOf(IConnection connection)
    {
        if (connection is not IPeerCredentials { Peer: { } peer })
        {
            return ControlRights.None;
        }

        return peer.Uid == 0 || peer.Uid == options.OwnerUid ? ControlRights.All
            : peer.Gid == options.SetGidGroup ? ControlRights.ListAndFlush
            : ControlRights.None;
    }

    /// <summary>A connection is all that is needed: what it sends does not matter.</summary>
    private async Task ServePickupAsync(IListener listener, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await using IConnection connection = await listener.AcceptAsync(cancellationToken);
                wakePickup();
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Shutdown.
        }
    }
}
