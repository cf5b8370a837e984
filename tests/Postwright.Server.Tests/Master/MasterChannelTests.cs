using System.Net;
using System.Net.Sockets;
using Postwright.Server.Master;

namespace Postwright.Server.Tests.Master;

public sealed class MasterChannelTests
{
    [Fact]
    public void Texts_keep_their_bounds_and_descriptors_arrive_usable()
    {
        (MasterChannel ours, int theirs) = MasterChannel.CreatePair();
        using MasterChannel child = new(theirs);
        using (ours)
        using (Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            socket.Listen();
            Assert.True(ours.Send("one"));
            Assert.True(ours.Send("two", (int)socket.Handle));
            Assert.True(child.Receive(out string text, out int[] descriptors));
            Assert.Equal("one", text);
            Assert.Empty(descriptors);
            Assert.True(child.Receive(out text, out descriptors));
            Assert.Equal("two", text);
            using Socket copy = new(new SafeSocketHandle(Assert.Single(descriptors), ownsHandle: true));
            Assert.Equal(socket.LocalEndPoint, copy.LocalEndPoint);
        }

        Assert.False(child.Receive(out _, out _));
    }

    [Fact]
    public void A_receive_ends_when_its_own_side_is_disposed()
    {
        (MasterChannel ours, int theirs) = MasterChannel.CreatePair();
        using MasterChannel child = new(theirs);
        bool? result = null;
        Thread reader = new(() => result = ours.Receive(out _, out _));
        reader.Start();
        ours.Dispose();
        Assert.True(reader.Join(TimeSpan.FromSeconds(60)));
        Assert.False(result);
    }

    [Fact]
    public void A_send_to_nobody_is_false()
    {
        (MasterChannel ours, int theirs) = MasterChannel.CreatePair();
        new MasterChannel(theirs).Dispose();
        using (ours)
        {
            Assert.False(ours.Send("hello"));
        }
    }

    [Fact]
    public void A_reload_is_read_as_it_was_written()
    {
        ReloadMessage? read = ReloadMessage.Parse("reload\n+25#0.0.0.0\n+25#__\nlog\n-587#0.0.0.0", [100, 101, 102]);
        Assert.NotNull(read);
        Assert.Equal([new("25#0.0.0.0", 100), new("25#__", 101)], read.Opened);
        Assert.Equal(102, read.Log);
        Assert.Equal(["587#0.0.0.0"], read.Closed);
    }

    [Theory]
    [InlineData("reload\n+key")]
    [InlineData("reload\nnonsense")]
    [InlineData("stop")]
    public void What_does_not_fit_is_no_reload(string text) => Assert.Null(ReloadMessage.Parse(text, []));
}
