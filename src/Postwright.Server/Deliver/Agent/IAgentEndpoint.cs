using Microsoft.Win32.SafeHandles;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// Where mail finds the agent: the seam below <see cref="AgentClient"/>. Real ones block a delivery thread, and what they return has
/// completed; in a simulation time passes in between.
/// </summary>
public interface IAgentEndpoint
{
    /// <summary>Runs what a delivery does, where it may block.</summary>
    /// <exception cref="OperationCanceledException">It was not begun.</exception>
    /// <exception cref="ObjectDisposedException">Deliveries have ended.</exception>
    ValueTask<T> RunAsync<T>(Func<ValueTask<T>> delivery, CancellationToken cancellationToken);

    /// <summary>Opens a connection.</summary>
    /// <exception cref="IOException">No agent is there.</exception>
    IAgentConnection Connect();
}

/// <summary>Mail's end of a connection to the agent: frames, in order, one at a time each way.</summary>
public interface IAgentConnection : IDisposable
{
    /// <summary>The user at the other end; null when that cannot be told.</summary>
    uint? PeerUser { get; }

    /// <summary>Sends a frame, with a descriptor beside it if given (which stays the caller's).</summary>
    /// <exception cref="IOException">The agent is gone. It has not got the whole frame.</exception>
    ValueTask SendAsync(ReadOnlyMemory<byte> frame, SafeFileHandle? file);

    /// <summary>Receives a frame; null when the agent has closed the connection.</summary>
    /// <param name="limit">Bytes a frame may have.</param>
    /// <exception cref="IOException">The agent is gone, or the frame is too large.</exception>
    /// <exception cref="InvalidDataException">A descriptor came with it, which the agent never sends.</exception>
    ValueTask<byte[]?> ReceiveAsync(int limit);
}
