namespace Postwright.Core.Tables.Remote;

/// <summary>A connection that a pool keeps. Protocols with a state of their own (log-in, server's facts) derive from it.</summary>
internal class RemoteConnection(RemoteStream stream) : IDisposable
{
    /// <summary>The bytes.</summary>
    public RemoteStream Stream => stream;

    public void Dispose()
    {
        stream.Dispose();
        GC.SuppressFinalize(this);
    }
}
