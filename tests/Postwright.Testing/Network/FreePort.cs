using System.Net;
using System.Net.Sockets;

namespace Postwright.Testing.Network;

/// <summary>
/// Ports for programs that must be told theirs. A port that the kernel chose and that was given back may be given to any other
/// socket before the program binds it; these lie below the range that the kernel chooses from, and each is handed out once among
/// all test processes of the machine: a socket in the abstract name space says that it is taken until the process ends.
/// </summary>
public static class FreePort
{
    private const int First = 12_000;
    private const int Last = 32_000;

    private static readonly Lock Gate = new();
    private static readonly List<Socket> Taken = [];
    private static int s_next = First + (Environment.ProcessId * 97 % (Last - First));

    /// <summary>A port of 127.0.0.1 on which nobody listens and that nobody else is given.</summary>
    public static int Next()
    {
        lock (Gate)
        {
            for (int tries = First; tries < Last; tries++)
            {
                int port = s_next;
                s_next = port + 1 < Last ? port + 1 : First;
                if (Take(port))
                {
                    return port;
                }
            }
        }

        throw new InvalidOperationException("there is no free port");
    }

    private static bool Take(int port)
    {
        Socket claim = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            claim.Bind(new UnixDomainSocketEndPoint($"\0postwright-test-port-{port}"));
            using Socket probe = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
        }
        catch (SocketException)
        {
            claim.Dispose();
            return false;
        }

        Taken.Add(claim);
        return true;
    }
}
