using Postwright.Server.Deliver;

namespace Postwright.Server.Tests.Deliver.Local;

public sealed class DotForwardTests : IDisposable
{
    private readonly DeliveryRig _rig = new();

    public void Dispose() => _rig.Dispose();

    private async Task<string[]> Forward(string text, int mode = 0b110_100_100, string mainCf = "")
    {
        _rig.Write("alice", ".forward", text, mode);
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: mainCf);
        return result.Status == DeliveryStatus.Expanded ? [.. result.Into.Select(one => one.Address)] : [result.Reason];
    }

    [Fact]
    public async Task Each_line_is_a_list_of_recipients()
        => Assert.Equal(
            ["alice@example.com", "bob@example.com", "x@example.net", "y@example.net"],
            await Forward("alice\n# not me\nbob, x@example.net\r\n Y Person <y@example.net>\n"));

    [Fact]
    public async Task Without_members_the_mailbox_is_next()
        => Assert.Equal(["delivered to mailbox"], await Forward("# nothing\n\n"));

    [Theory]
    [InlineData(0b110_100_100, true)]
    [InlineData(0b110_110_100, true)]
    [InlineData(0b110_100_110, false)]
    public async Task A_file_that_everybody_may_write_does_not_count(int mode, bool counts)
    {
        Assert.Equal(counts ? "bob@example.com" : "delivered to mailbox", Assert.Single(await Forward("bob\n", mode)));
        Assert.Equal(!counts, _rig.Lines.All.Any(line => line.EndsWith(".forward is world writable", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Strict_permissions_refuse_what_a_group_may_write_file_or_home()
    {
        const string Strict = "strict_forward_permissions = yes";
        Assert.Equal(["bob@example.com"], await Forward("bob\n", mainCf: Strict));
        Assert.Equal(["delivered to mailbox"], await Forward("bob\n", 0b110_110_100, Strict));
        File.SetUnixFileMode(_rig.HomeOf("alice"), (UnixFileMode)0b111_111_101);
        Assert.Equal(["delivered to mailbox"], await Forward("bob\n", mainCf: Strict));
        Assert.Equal(["bob@example.com"], await Forward("bob\n"));
    }

    [Fact]
    public async Task A_file_of_another_user_or_a_link_does_not_count()
    {
        if (DeliveryRig.IsRoot)
        {
            await Forward("bob\n");
            DeliveryRig.Give(Path.Combine(_rig.HomeOf("alice"), ".forward"), 1502, 1502);
            Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice@example.com")).Reason);
            Assert.Contains(_rig.Lines.All, line => line.EndsWith(".forward has bad owner uid 1502", StringComparison.Ordinal));
        }

        _rig.Write("alice", "real", "bob\n");
        string forward = Path.Combine(_rig.HomeOf("alice"), ".forward");
        File.Delete(forward);
        File.CreateSymbolicLink(forward, Path.Combine(_rig.HomeOf("alice"), "real"));
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice@example.com")).Reason);
    }

    [Fact]
    public async Task The_file_for_the_extension_comes_first()
    {
        _rig.Write("alice", ".forward", "general@example.net\n");
        _rig.Write("alice", ".forward+lists", "lists@example.net\n");
        const string Plus = "recipient_delimiter = +";
        Assert.Equal("lists@example.net", Assert.Single((await _rig.Deliver("alice+lists@example.com", mainCf: Plus)).Into).Address);
        Assert.Equal("general@example.net", Assert.Single((await _rig.Deliver("alice+other@example.com", mainCf: Plus)).Into).Address);
        Assert.Equal("general@example.net", Assert.Single((await _rig.Deliver("alice@example.com", mainCf: Plus)).Into).Address);
    }

    [Fact]
    public async Task A_user_who_lists_himself_keeps_a_copy()
    {
        _rig.Write("alice", ".forward", "alice, bob\n");
        RecipientResult result = await _rig.Deliver("alice@example.com");
        Assert.Equal("f=alice@example.com", result.Into[0].Via);
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice@example.com", via: result.Into[0].Via)).Reason);
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("bob@example.com", via: result.Into[1].Via)).Reason);
    }

    [Fact]
    public async Task Two_who_forward_to_each_other_are_a_loop()
    {
        _rig.Write("alice", ".forward", "bob\n");
        _rig.Write("bob", ".forward", "alice\n");
        RecipientResult result = await _rig.Deliver("alice@example.com");
        result = await _rig.Deliver("bob@example.com", via: Assert.Single(result.Into).Via);
        result = await _rig.Deliver("alice@example.com", via: Assert.Single(result.Into).Via);
        Assert.Equal((DeliveryStatus.Bounced, "5.4.6", "mail forwarding loop for alice@example.com"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task A_home_that_must_be_there_and_is_not_defers()
    {
        Directory.Delete(_rig.HomeOf("alice"), true);
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice@example.com")).Reason);
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: "require_home_directory = yes");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0"), (result.Status, result.Dsn));
    }
}
