namespace Postwright.Core.Seams;

/// <summary>The process at the other end of a unix-domain connection, as the kernel knew it when it connected.</summary>
/// <param name="Pid">Process.</param>
/// <param name="Uid">Its effective user.</param>
/// <param name="Gid">Its effective group: a set-gid program's.</param>
public readonly record struct PeerCredentials(int Pid, uint Uid, uint Gid);

/// <summary>What a connection that knows its peer also is.</summary>
public interface IPeerCredentials
{
    /// <summary>Who the peer is; null where the kernel does not tell (a TCP connection, a closed one). Null is to be refused.</summary>
    PeerCredentials? Peer { get; }
}
