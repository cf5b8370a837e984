using System.Net.Sockets;

namespace Postwright.Core.Posix;

#pragma warning disable RS0030 // Part of the real network: where a unix-domain socket stands in the file system.

/// <summary>
/// Binds a unix-domain socket in the queue's public directory. The directory's mode says who may reach it (root, the mail
/// system and the set-gid programs), so the socket itself is open, as Postfix's are. A socket left from an earlier run is replaced:
/// the caller holds the spool's lock, so nobody else listens there. It is bound under another name and renamed, so that a
/// client always finds one, and so that it stays when the system stops, as Postfix's do (the runtime removes the name it bound).
/// </summary>
internal static class PublicSocket
{
    private const UnixFileMode Everybody = (UnixFileMode)0b110_110_110;

    /// <summary>Binds and listens, then shows it under its name.</summary>
    /// <exception cref="SocketException">The socket cannot be made.</exception>
    /// <exception cref="IOException">What is in its place cannot be removed.</exception>
    public static void Listen(Socket socket, string path, int backlog)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string bound = path + ".new";
        File.Delete(bound);
        socket.Bind(new UnixDomainSocketEndPoint(bound));
        socket.Listen(backlog);
        File.SetUnixFileMode(bound, Everybody);
        File.Move(bound, path, overwrite: true);
    }
}
