using Postwright.Core.Posix;
using Postwright.Server.Deliver;
using Postwright.Server.Tests.Deliver.Local;

namespace Postwright.Server.Tests.Deliver.Virtual;

public sealed class VirtualDeliveryTests : IDisposable
{
    private readonly DeliveryRig _rig = new();
    private readonly string _base;

    public VirtualDeliveryTests()
    {
        _base = _rig.Make("vhosts", 0b111_111_111);
    }

    public void Dispose() => _rig.Dispose();

    private Task<RecipientResult> Deliver(string address, string more = "", string box = "example.com/info/")
    {
        uint gid = DeliveryRig.IsRoot ? 1600 : Identity.EffectiveGroup;
        return _rig.Deliver(address, transport: "virtual", mainCf: $$"""
            virtual_mailbox_base = {{_base}}
            virtual_mailbox_maps = inline:{ {info@example.com = {{box}} }, { @catch.all = all } }
            virtual_uid_maps = static:{{DeliveryRig.Number(1600)}}
            virtual_gid_maps = static:{{gid}}
            virtual_minimum_uid = {{(DeliveryRig.IsRoot ? 100 : 1)}}
            recipient_delimiter = +
            {{more}}
            """);
    }

    [Fact]
    public async Task A_path_with_a_slash_is_a_maildir_of_the_mapped_owner()
    {
        RecipientResult result = await Deliver("Info+x@Example.com");
        Assert.Equal((DeliveryStatus.Sent, "2.0.0", "delivered to maildir", "virtual"), (result.Status, result.Dsn, result.Reason, result.Relay));
        string file = Assert.Single(Directory.GetFiles(Path.Combine(_base, "example.com/info/new")));
        DeliveryFile.Stat(file, out FileFacts facts);
        Assert.Equal(DeliveryRig.Number(1600), facts.Uid);
        Assert.StartsWith(
            "Return-Path: <sender@example.org>\nX-Original-To: Info+x@Example.com\nDelivered-To: Info+x@Example.com\nSubject",
            await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_path_without_a_slash_is_a_mailbox()
    {
        RecipientResult result = await Deliver("anybody@catch.all");
        Assert.Equal("delivered to mailbox", result.Reason);
        Assert.StartsWith("From sender@example.org  ", await File.ReadAllTextAsync(Path.Combine(_base, "all"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("virtual_uid_maps")]
    [InlineData("virtual_gid_maps")]
    public async Task A_sender_does_not_choose_whose_rights_a_delivery_has(string parameter)
    {
        RecipientResult result = await Deliver("1600@catch.all", parameter + " = pcre:{{/^([0-9]+)@/ $$1}}");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5"), (result.Status, result.Dsn));
        Assert.Contains(_rig.Lines.All, static line => line.Contains("substitution is not allowed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_recipient_who_is_not_in_the_map_bounces()
    {
        RecipientResult result = await Deliver("other@example.com");
        Assert.Equal((DeliveryStatus.Bounced, "5.1.1", "unknown user: \"other@example.com\""), (result.Status, result.Dsn, result.Reason));
    }

    [Theory]
    [InlineData("virtual_uid_maps = static:0")]
    [InlineData("virtual_uid_maps = static:99999999999")]
    [InlineData("virtual_uid_maps = static:-5")]
    [InlineData("virtual_uid_maps = static:5000\nvirtual_minimum_uid = 6000")]
    [InlineData("virtual_uid_maps =")]
    [InlineData("virtual_gid_maps = static:0")]
    [InlineData("virtual_mailbox_maps = static:../../etc/passwd")]
    [InlineData("virtual_mailbox_maps = static:a/../../b/")]
    [InlineData("virtual_mailbox_maps = hash:/nonexistent/table")]
    [InlineData("virtual_mailbox_base =")]
    public async Task A_wrong_owner_path_or_table_defers(string setting)
    {
        RecipientResult result = await Deliver("info@example.com", setting);
        Assert.Equal((DeliveryStatus.Deferred, "4.3.5", "mail system configuration error"), (result.Status, result.Dsn, result.Reason));
        Assert.NotEmpty(_rig.Lines.All);
        Assert.Empty(Directory.GetFileSystemEntries(_base));
    }

    [Fact]
    public async Task A_maildir_file_over_the_limit_bounces_and_leaves_nothing()
    {
        RecipientResult result = await Deliver("info@example.com", "virtual_mailbox_limit = 10");
        Assert.Equal((DeliveryStatus.Bounced, "5.2.2", "maildir delivery failed: error writing message: File too large"), (result.Status, result.Dsn, result.Reason));
        Assert.Empty(Directory.GetFiles(Path.Combine(_base, "example.com/info/new")));
        Assert.Empty(Directory.GetFiles(Path.Combine(_base, "example.com/info/tmp")));
    }
}
