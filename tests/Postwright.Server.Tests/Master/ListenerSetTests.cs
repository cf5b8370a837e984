using System.Net;
using System.Net.Sockets;
using Postwright.Core.Logging;
using Postwright.Server.Master;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Master;

public sealed class ListenerSetTests
{
    private readonly LogLines _lines = new();

    private MailLog Log => _lines.For("master");

    [Fact]
    public void An_update_opens_what_is_new_and_closes_what_is_gone()
    {
        using ListenerSet set = new();
        Assert.True(set.Update([Service("a")], Log, out IReadOnlyList<string> opened, out IReadOnlyList<string> closed));
        Assert.Equal(["a#127.0.0.1"], opened);
        Assert.Empty(closed);
        EndPoint kept = set.Open["a#127.0.0.1"].LocalEndPoint!;

        Assert.True(set.Update([Service("a"), Service("b")], Log, out opened, out closed));
        Assert.Equal(["b#127.0.0.1"], opened);
        Assert.Equal(kept, set.Open["a#127.0.0.1"].LocalEndPoint);

        Assert.True(set.Update([Service("b")], Log, out opened, out closed));
        Assert.Empty(opened);
        Assert.Equal(["a#127.0.0.1"], closed);
    }

    [Fact]
    public void An_address_in_use_is_fatal_and_leaves_everything_as_it_was()
    {
        using Socket other = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        other.Listen();
        int port = ((IPEndPoint)other.LocalEndPoint!).Port;
        using ListenerSet set = new();
        Assert.True(set.Update([Service("a")], Log, out _, out _));
        Assert.False(set.Update([Service("a"), Service("b"), Service("c", port)], Log, out _, out _));
        Assert.Equal(["a#127.0.0.1"], set.Open.Keys);
        Assert.Contains($"postfix/master: fatal: bind 127.0.0.1 port {port}: Address already in use", _lines.All);
    }

    [Fact]
    public void A_socket_that_was_passed_is_used_for_its_address()
    {
        using Socket passed = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        passed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        passed.Listen();
        using ListenerSet set = new();
        set.Inherit([MasterCalls.Control((int)passed.Handle, MasterCalls.DuplicateCloseOnExec, 3)]);
        Assert.True(set.Update([Service("a", ((IPEndPoint)passed.LocalEndPoint!).Port)], Log, out _, out _));
        Assert.Equal(passed.LocalEndPoint, set.Open["a#127.0.0.1"].LocalEndPoint);
    }

    private static ListeningService Service(string name, int port = 0) => new(name, [new IPEndPoint(IPAddress.Loopback, port)]);
}
