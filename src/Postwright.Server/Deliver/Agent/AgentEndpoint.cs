using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Agent;

#pragma warning disable RS0030 // Runs on delivery threads, which may block.

/// <summary>The agent behind real sockets, each used by one delivery thread at a time.</summary>
/// <param name="connect">Opens a connection: <c>() =&gt; FrameSocket.Connect(path)</c>.</param>
/// <param name="workers">The threads; their number is the number of connections.</param>
public sealed class AgentEndpoint(Func<FrameSocket> connect, DeliveryWorkers workers) : IAgentEndpoint
{
    /// <inheritdoc />
    public ValueTask<T> RunAsync<T>(Func<ValueTask<T>> delivery, CancellationToken cancellationToken) =>
        workers.RunAsync(() => delivery().AsTask().GetAwaiter().GetResult(), cancellationToken);

    /// <inheritdoc />
    public IAgentConnection Connect() => new Connection(connect());

    private sealed class Connection(FrameSocket socket) : IAgentConnection
    {
        public uint? PeerUser => socket.PeerUser;

        public ValueTask SendAsync(ReadOnlyMemory<byte> frame, SafeFileHandle? file)
        {
            socket.Send(frame.Span, file);
            return ValueTask.CompletedTask;
        }

        public ValueTask<byte[]?> ReceiveAsync(int limit)
        {
            byte[]? frame = socket.Receive(limit, out SafeFileHandle? unexpected);
            if (unexpected is not null)
            {
                unexpected.Dispose();
                throw new InvalidDataException("the agent sent a descriptor");
            }

            return ValueTask.FromResult(frame);
        }

        public void Dispose() => socket.Dispose();
    }
}
