using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Server.Route;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Route;

public sealed class AddressResolverTests : IDisposable
{
    private readonly LogLines _log = new();
    private readonly List<TableRegistry> _registries = [];

    // The answers of Postfix 3.7.11's trivial-rewrite with the same configuration.
    [Theory]
    [InlineData("user@here.test", "local", "mx.here.test", "user@here.test")]
    [InlineData("user", "local", "mx.here.test", "user@mx.here.test")]
    [InlineData("user@HERE.test.", "local", "mx.here.test", "user@HERE.test")]
    [InlineData("@here.test", "local", "mx.here.test", "MAILER-DAEMON@here.test")]
    [InlineData("", "local", "mx.here.test", "MAILER-DAEMON@mx.here.test")]
    [InlineData("user%there.test@here.test", "smtp", "there.test", "user@there.test")]
    [InlineData("there.test!user@here.test", "smtp", "there.test", "user@there.test")]
    [InlineData("user@there.test@here.test", "smtp", "there.test", "user@there.test")]
    [InlineData("user@there.test", "smtp", "there.test", "user@there.test")]
    [InlineData("user@sub.relay.test", "relay", "sub.relay.test", "user@sub.relay.test")]
    [InlineData("user@box.test", "virtual", "box.test", "user@box.test")]
    [InlineData("user@alias.test", "error", "5.1.1 User unknown in virtual alias table", "user@alias.test")]
    [InlineData("user@[192.0.2.7]", "smtp", "[192.0.2.7]", "user@[192.0.2.7]")]
    [InlineData("user@[127.0.0.1]", "local", "mx.here.test", "user@[127.0.0.1]")]
    [InlineData("user@[IPv6:2001:db8::1]", "smtp", "[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]")]
    [InlineData("@there.test", "smtp", "there.test", "@there.test")]
    [InlineData("a!b!c@here.test", "smtp", "a", "b!c@a")]
    [InlineData("a!b%c@here.test", "smtp", "a", "b%c@a")]
    [InlineData("user@here.test@here.test", "local", "mx.here.test", "user@here.test")]
    [InlineData("user%here.test", "local", "mx.here.test", "user@here.test")]
    [InlineData("user%there.test", "smtp", "there.test", "user@there.test")]
    [InlineData("site!user", "smtp", "site", "user@site")]
    [InlineData("a b@here.test", "local", "mx.here.test", "a b@here.test")]
    [InlineData("a b%c.test@here.test", "smtp", "c.test", "a b@c.test")]
    [InlineData("user@here.test@", "local", "mx.here.test", "user@here.test")]
    [InlineData("user..x@here.test", "local", "mx.here.test", "user..x@here.test")]
    [InlineData("us<er@there.test", "smtp", "there.test", "us<er@there.test")]
    [InlineData("user!@here.test", "smtp", "user", "@user")]
    [InlineData("%user@here.test", "smtp", "user", "@user")]
    public async Task Each_class_has_its_transport(string address, string transport, string nextHop, string resolved)
    {
        ResolvedAddress answer = await Resolver().ResolveAsync("", address, TestContext.Current.CancellationToken);
        Assert.Equal((ResolveStatus.Resolved, transport, nextHop, resolved), (answer.Status, answer.Transport, answer.NextHop, answer.Address));
    }

    [Theory]
    [InlineData("user@")]
    [InlineData("user@a..b")]
    [InlineData("user@-a.test")]
    [InlineData("user@192.0.2.1")]
    [InlineData("user@[192.0.2]")]
    [InlineData("user%@here.test")]
    [InlineData("user@three.test..")]
    [InlineData("user@@here.test")]
    [InlineData("!user@here.test")]
    public async Task An_invalid_address_is_no_destination(string address)
    {
        Assert.Equal(ResolveStatus.BadAddress, (await Resolver().ResolveAsync("", address, TestContext.Current.CancellationToken)).Status);
    }

    [Theory]
    [InlineData("a@one.test", "uucp", "one.test")]
    [InlineData("a@two.test", "smtp", "[gw.test]:26")]
    [InlineData("a@three.test", "slow", "three.test")]
    [InlineData("b@three.test", "special", "host")]
    [InlineData("b+x@three.test", "special", "host")]
    [InlineData("a@sub.four.test", "sub", "sub.four.test")]
    [InlineData("a@keep.test", "smtp", "[relay.test]")]
    [InlineData("a@bad.test", "error", "Address is undeliverable")]
    [InlineData("a@ret.test", "retry", "Address is undeliverable")]
    [InlineData("a@dis.test", "discard", "dis.test")]
    [InlineData("a@a.b.four.test", "sub", "a.b.four.test")]
    [InlineData("a@four.test", "star", "elsewhere")]
    [InlineData("a@box.test", "star", "elsewhere")]
    [InlineData("a@alias.test", "error", "5.1.1 User unknown in virtual alias table")]
    [InlineData("a@other.test", "star", "elsewhere")]
    [InlineData("a@here.test", "star", "elsewhere")]
    public async Task Transport_maps_override_transport_and_next_hop(string address, string transport, string nextHop)
    {
        const string Table = "inline:{ {one.test = uucp} {two.test = :[gw.test]:26} {three.test = slow:} {b@three.test = special:host}"
            + " {.four.test = sub:} {keep.test = :} {bad.test = error:} {ret.test = retry:} {dis.test = discard:} {* = star:elsewhere} }";
        AddressResolver resolver = Resolver($"relayhost = [relay.test]\nrecipient_delimiter = +\ntransport_maps = {Table}\n");
        ResolvedAddress answer = await resolver.ResolveAsync("", address, TestContext.Current.CancellationToken);
        Assert.Equal((transport, nextHop), (answer.Transport, answer.NextHop));
    }

    [Fact]
    public async Task Relayhost_takes_what_has_no_next_hop_of_its_own()
    {
        AddressResolver resolver = Resolver("relayhost = [gw.test]:587\nrelay_transport = relay:inside.test\n");
        Assert.Equal("[gw.test]:587", (await resolver.ResolveAsync("", "a@there.test", TestContext.Current.CancellationToken)).NextHop);
        Assert.Equal("inside.test", (await resolver.ResolveAsync("", "a@relay.test", TestContext.Current.CancellationToken)).NextHop);
        Assert.Equal("mx.here.test", (await resolver.ResolveAsync("", "a@here.test", TestContext.Current.CancellationToken)).NextHop);
    }

    [Fact]
    public async Task A_table_that_cannot_be_asked_is_never_no_answer()
    {
        AddressResolver inTransport = Resolver("transport_maps = fail:here\n");
        Assert.Equal(ResolveStatus.TemporaryError, (await inTransport.ResolveAsync("", "a@there.test", TestContext.Current.CancellationToken)).Status);
        AddressResolver inClass = Resolver("virtual_mailbox_domains = fail:here\n");
        Assert.Equal(ResolveStatus.TemporaryError, (await inClass.ResolveAsync("", "a@there.test", TestContext.Current.CancellationToken)).Status);
        Assert.Equal(ClassificationStatus.TemporaryError, (await inClass.ClassifyAsync("a@there.test", TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task Relocated_users_are_returned_with_their_new_address()
    {
        AddressResolver resolver = Resolver("relocated_maps = inline:{ old@here.test=new@there.test, gone=far@away.test }\n");
        Assert.Equal("5.1.6 User has moved to new@there.test", (await resolver.ResolveAsync("", "old@here.test", TestContext.Current.CancellationToken)).NextHop);
        Assert.Equal("5.1.6 User has moved to far@away.test", (await resolver.ResolveAsync("", "gone@here.test", TestContext.Current.CancellationToken)).NextHop);
    }

    [Theory]
    [InlineData("user", AddressClass.Default, "user@origin.test", false)]
    [InlineData("user%there.test", AddressClass.Default, "user@there.test", false)]
    [InlineData("user@relay.test", AddressClass.Relay, "user@relay.test", false)]
    [InlineData("user%far.test@relay.test", AddressClass.Relay, "user%far.test@relay.test", true)]
    [InlineData("user@far.test@relay.test", AddressClass.Relay, "user@far.test@relay.test", true)]
    [InlineData("user@alias.test", AddressClass.VirtualAlias, "user@alias.test", false)]
    public async Task The_receiving_side_learns_the_class(string address, AddressClass expected, string standard, bool routed)
    {
        Classification answer = await Resolver().ClassifyAsync(address, TestContext.Current.CancellationToken);
        Assert.Equal(new Classification(ClassificationStatus.Known, expected, standard, routed), answer);
    }

    public void Dispose() => _registries.ForEach(registry => registry.Dispose());

    private AddressResolver Resolver(string more = "")
    {
        const string Basis = """
            compatibility_level = 3.6
            myhostname = mx.here.test
            mydomain = here.test
            myorigin = origin.test
            mydestination = here.test, mx.here.test
            inet_interfaces = 127.0.0.1
            virtual_alias_maps = inline:{known@alias.test=x}
            virtual_alias_domains = alias.test
            virtual_mailbox_domains = box.test
            relay_domains = relay.test

            """;
        MailConfiguration configuration = MailConfiguration.FromText(Basis + more);
        TableRegistry registry = new(_log.For("trivial-rewrite"), TimeProvider.System);
        _registries.Add(registry);
        return new AddressResolver(
            ResolverOptions.From(configuration, registry), new AddressRewriter(RewriteOptions.From(configuration)), _log.For("trivial-rewrite"));
    }
}
