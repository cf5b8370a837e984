using Postwright.Server.Route;

namespace Postwright.Server.Tests.Route;

public sealed class AddressRewriterTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("user", "user@origin.test")]
    [InlineData("user@host", "user@host.domain.test")]
    [InlineData("user@host.", "user@host")]
    [InlineData("user@a.test.", "user@a.test")]
    [InlineData("user@a.test..", "user@a.test..")]
    [InlineData("user@[192.0.2.1]", "user@[192.0.2.1]")]
    [InlineData("site!user", "user@site.domain.test")]
    [InlineData("a!b!user", "b!user@a.domain.test")]
    [InlineData("user%site.test", "user@site.test")]
    [InlineData("user%a.test%b.test", "user%a.test@b.test")]
    [InlineData("site!user@a.test", "site!user@a.test")]
    [InlineData("user%site@a.test", "user%site@a.test")]
    [InlineData("@one.test,@two.test:user@three.test", "user@three.test")]
    [InlineData("a b!c", "a b!c@origin.test")]
    public void An_address_gets_its_standard_form(string address, string expected)
    {
        AddressRewriter rewriter = new(new RewriteOptions { MyOrigin = "origin.test", MyDomain = "domain.test", AppendDotMyDomain = true });
        Assert.Equal(expected, rewriter.Rewrite(address));
    }

    [Fact]
    public void Nothing_is_done_that_is_switched_off()
    {
        AddressRewriter rewriter = new(new RewriteOptions
        {
            MyOrigin = "origin.test",
            MyDomain = "domain.test",
            AppendAtMyOrigin = false,
            SwapBangPath = false,
            AllowPercentHack = false,
        });
        Assert.Equal("a!b%c", rewriter.Rewrite("a!b%c"));
        Assert.Equal("a@b", rewriter.Rewrite("a@b"));
    }
}
