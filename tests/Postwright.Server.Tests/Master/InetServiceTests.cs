using System.Net;
using Postwright.Core.Configuration;
using Postwright.Server.Master;

namespace Postwright.Server.Tests.Master;

public sealed class InetServiceTests
{
    private static readonly InterfaceOptions All = new(["all"], new InetProtocols(true, true));

    [Theory]
    [InlineData("smtp", "0.0.0.0:25 [::]:25")]
    [InlineData("587", "0.0.0.0:587 [::]:587")]
    [InlineData("127.0.0.1:2525", "127.0.0.1:2525")]
    [InlineData("[::1]:2525", "[::1]:2525")]
    [InlineData("mail.example:smtp", "192.0.2.1:25 [2001:db8::1]:25")]
    public void A_service_name_stands_for_its_end_points(string service, string expected)
    {
        IReadOnlyList<IPEndPoint>? endPoints = InetService.Resolve(service, All, Hosts, out string? error);
        Assert.Null(error);
        Assert.Equal(expected, string.Join(' ', endPoints!));
    }

    [Theory]
    [InlineData("nosuchservice", "unknown service: nosuchservice/tcp")]
    [InlineData("70000", "unknown service: 70000/tcp")]
    [InlineData("nohost.example:25", "host not found: nohost.example")]
    [InlineData("[::1]25", "bad service name: [::1]25")]
    public void What_cannot_be_listened_on_is_named(string service, string expected)
    {
        Assert.Null(InetService.Resolve(service, All, Hosts, out string? error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void Loopback_only_and_a_protocol_narrow_the_addresses()
    {
        Assert.Equal("127.0.0.1:25", string.Join(' ', InetService.Resolve("25", new(["loopback-only"], new InetProtocols(true, false)), Hosts, out _)!));
    }

    [Fact]
    public void Names_in_inet_interfaces_are_looked_up_and_doubles_dropped()
    {
        Assert.Equal(
            "192.0.2.1:25 [2001:db8::1]:25",
            string.Join(' ', InetService.Resolve("25", new(["mail.example", "192.0.2.1"], new InetProtocols(true, true)), Hosts, out _)!));
    }

    [Fact]
    public void An_unknown_protocol_word_is_an_error() => Assert.Null(InterfaceOptions.From(["all"], ["ipv5"]));

    [Theory]
    [InlineData("ALL", true, true)]
    [InlineData("ipv6 IPv4", true, true)]
    [InlineData("ipv6", false, true)]
    public void Protocols_are_named_in_any_case_and_combination(string words, bool four, bool six)
    {
        Assert.True(InetProtocols.TryParse(words.Split(' '), out InetProtocols protocols));
        Assert.Equal(new InetProtocols(four, six), protocols);
    }

    private static IReadOnlyList<IPAddress> Hosts(string name) =>
        name == "mail.example" ? [IPAddress.Parse("192.0.2.1"), IPAddress.Parse("2001:db8::1")] : [];
}
