using Postwright.Core.Posix;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;

namespace Postwright.Server.Tests.Deliver.Local;

public sealed class AliasTests : IDisposable
{
    private readonly DeliveryRig _rig = new();

    public void Dispose() => _rig.Dispose();

    private string Out(string name) => Path.Combine(_rig.Make("out", 0b111_111_111), name);

    private Task<RecipientResult> Deliver(string address, string aliases, string more = "", string via = "", string sender = "sender@example.org")
        => _rig.Deliver(address, mainCf: $"recipient_delimiter = +\nalias_maps = inline:{{ {aliases} }}\n{more}", via: via, sender: sender);

    private static string[] Into(RecipientResult result)
    {
        Assert.Equal(DeliveryStatus.Expanded, result.Status);
        return [.. result.Into.Select(one => one.Address)];
    }

    [Fact]
    public async Task An_alias_becomes_recipients_that_remember_it_and_each_only_once()
    {
        RecipientResult result = await Deliver("Team@example.com", "{ team = alice, bob@example.net, \"quoted name\"@example.net, ALICE (twice) }");
        Assert.Equal(["alice@example.com", "bob@example.net", "quoted name@example.net"], Into(result));
        Assert.All(result.Into, one => Assert.Equal(("Team@example.com", "a=Team@example.com"), (one.OriginalAddress, one.Via)));
        Assert.Null(result.NewSender);
    }

    [Fact]
    public async Task The_full_local_part_is_asked_before_the_name()
    {
        Assert.Equal(["a@x"], Into(await Deliver("list+x@example.com", "{ list = b@x }, { list+x = a@x }")));
        Assert.Equal(["b@x"], Into(await Deliver("list+y@example.com", "{ list = b@x }, { list+x = a@x }")));
        Assert.Equal(["b+y@x"], Into(await Deliver("list+y@example.com", "{ list = b@x }", "propagate_unmatched_extensions = alias")));
    }

    [Fact]
    public async Task A_name_in_its_own_alias_is_the_user()
    {
        RecipientResult result = await Deliver("alice@example.com", "{ alice = alice, bob }");
        Assert.Equal(["alice@example.com", "bob@example.com"], Into(result));
        RecipientResult again = await Deliver("alice@example.com", "{ alice = alice, bob }", via: result.Into[0].Via);
        Assert.Equal("delivered to mailbox", again.Reason);
    }

    [Fact]
    public async Task A_mailbox_reached_through_an_alias_names_the_alias_in_delivered_to()
    {
        await Deliver("alice@example.com", "{ x = y }", via: "a=team@example.com");
        Assert.Contains("\nDelivered-To: team@example.com\nSubject", await File.ReadAllTextAsync(Path.Combine(_rig.Spool, "alice"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await Deliver("bob@example.com", "{ x = y }", via: "a=team@example.com f=alice@example.com");
        Assert.Contains(
            "\nDelivered-To: bob@example.com\nDelivered-To: team@example.com\nSubject",
            await File.ReadAllTextAsync(Path.Combine(_rig.Spool, "bob"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Aliases_in_a_circle_bounce()
    {
        RecipientResult result = await Deliver("one@example.com", "{ one = two }, { two = one }");
        result = await Deliver("two@example.com", "{ one = two }, { two = one }", via: Assert.Single(result.Into).Via);
        result = await Deliver("one@example.com", "{ one = two }, { two = one }", via: Assert.Single(result.Into).Via);
        Assert.Equal((DeliveryStatus.Bounced, "5.4.6", "alias database loop for one"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task An_owner_becomes_the_sender_and_the_members_are_recipients_of_their_own()
    {
        RecipientResult result = await Deliver("list+x@example.com", "{ list = alice }, { owner-list = boss@example.net }");
        Assert.Equal("owner-list@example.com", result.NewSender);
        Assert.Equal("alice@example.com", Assert.Single(result.Into).OriginalAddress);
        result = await Deliver("list@example.com", "{ list = alice }, { owner-list = boss@example.net }", "expand_owner_alias = yes");
        Assert.Equal("boss@example.net", result.NewSender);
        result = await Deliver("list@example.com", "{ list = alice }, { owner-list = boss@example.net }", "owner_request_special = no");
        Assert.Null(result.NewSender);
    }

    [Fact]
    public async Task A_file_alone_is_delivered_at_once_with_default_privs()
    {
        RecipientResult result = await Deliver("log@example.com", $"{{ log = \"{Out("file")}\" }}");
        Assert.Equal((DeliveryStatus.Sent, $"delivered to file: {Out("file")}"), (result.Status, result.Reason));
        DeliveryFile.Stat(Out("file"), out FileFacts facts);
        Assert.Equal(DeliveryRig.Number(65534), facts.Uid);
        Assert.Equal("delivered to maildir", (await Deliver("log@example.com", $"{{ log = {Out("dir")}/ }}")).Reason);
        Assert.Single(Directory.GetFiles(Out("dir") + "/new"));
        Assert.Equal("delivered to file: /dev/null", (await Deliver("log@example.com", "{ log = /dev/null }")).Reason);
    }

    [Fact]
    public async Task A_file_of_a_users_own_table_is_written_with_that_users_rights()
    {
        string table = Out("table");
        await File.WriteAllTextAsync(table, $"log {Out("file")}\n", TestContext.Current.CancellationToken);
        DeliveryRig.Give(table, 1501, 1501);
        RecipientResult result = await _rig.Deliver("log@example.com", mainCf: $"alias_maps = texthash:{table}");
        Assert.Equal($"delivered to file: {Out("file")}", result.Reason);
        DeliveryFile.Stat(Out("file"), out FileFacts facts);
        Assert.Equal(DeliveryRig.Number(1501), facts.Uid);
        DeliveryRig.Give(table, 4711, 4711);
        Assert.SkipUnless(DeliveryRig.IsRoot, "the rest needs root");
        result = await _rig.Deliver("log@example.com", mainCf: $"alias_maps = texthash:{table}");
        Assert.Equal((DeliveryStatus.Deferred, "cannot find alias database owner"), (result.Status, result.Reason));
    }

    [Fact]
    public async Task A_file_that_is_a_program_is_not_written_to()
    {
        await File.WriteAllTextAsync(Out("exe"), "", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Out("exe"), (UnixFileMode)0b111_111_111);
        RecipientResult result = await Deliver("log@example.com", $"{{ log = {Out("exe")} }}");
        Assert.Equal((DeliveryStatus.Bounced, "5.7.1", $"cannot append message to file {Out("exe")}: file is executable"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task Files_among_others_are_recipients_that_come_back_for_that_file_alone()
    {
        string aliases = $"{{ multi = bob@example.net, {Out("one")}, {Out("two")} }}";
        RecipientResult result = await Deliver("multi@example.com", aliases);
        Assert.Equal(["bob@example.net", "multi@example.com", "multi@example.com"], Into(result));
        Assert.False(File.Exists(Out("one")));

        RecipientResult first = await Deliver("multi@example.com", aliases, via: result.Into[1].Via);
        Assert.Equal($"delivered to file: {Out("one")}", first.Reason);
        Assert.False(File.Exists(Out("two")));
        RecipientResult second = await Deliver("multi@example.com", aliases, via: result.Into[2].Via);
        Assert.Equal($"delivered to file: {Out("two")}", second.Reason);
    }

    [Fact]
    public async Task A_member_that_the_alias_no_longer_has_is_never_delivered()
    {
        RecipientResult result = await Deliver("multi@example.com", "{ multi = bob@example.net }", via: "m=" + Out("evil"));
        Assert.Equal(["bob@example.net"], Into(result));
        RecipientResult unknown = await Deliver("nobody-here@example.com", "{ multi = x }", via: "m=|touch%20" + Out("evil"));
        Assert.Equal("5.1.1", unknown.Dsn);
        Assert.False(File.Exists(Out("evil")));
    }

    [Fact]
    public async Task What_is_not_allowed_bounces_by_itself()
    {
        RecipientResult result = await Deliver("log@example.com", $"{{ log = {Out("file")} }}", "allow_mail_to_files = forward");
        Assert.Equal((DeliveryStatus.Bounced, "5.7.1", "mail to file is restricted"), (result.Status, result.Dsn, result.Reason));
        result = await Deliver("log@example.com", "{ log = \"|true\" }", "allow_mail_to_commands =");
        Assert.Equal((DeliveryStatus.Bounced, "5.7.1", "mail to command is restricted"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task Included_files_are_read_and_their_members_are_forwarded()
    {
        await File.WriteAllTextAsync(Out("list"), $"# comment\nalice, bob@example.net\n:include:{Out("more")}\n/var/forbidden\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Out("more"), "carol@example.net\n", TestContext.Current.CancellationToken);
        RecipientResult result = await Deliver("list@example.com", $"{{ list = :include:{Out("list")} }}");
        Assert.Equal(["alice@example.com", "bob@example.net", "carol@example.net", "list@example.com"], Into(result));
        Assert.Equal("o=list@example.com", result.Into[0].Via);
        RecipientResult file = await Deliver("list@example.com", $"{{ list = :include:{Out("list")} }}", via: result.Into[3].Via);
        Assert.Equal("mail to file is restricted", file.Reason);
    }

    [Theory]
    [InlineData(":include:relative")]
    [InlineData(":include:/nonexistent/file")]
    [InlineData(":include:OUT/world")]
    [InlineData(":include:OUT")]
    public async Task A_file_that_cannot_be_included_bounces(string member)
    {
        await File.WriteAllTextAsync(Out("world"), "alice", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Out("world"), (UnixFileMode)0b110_110_110);
        RecipientResult result = await Deliver("list@example.com", $"{{ list = {member.Replace("OUT", Path.GetDirectoryName(Out("x")), StringComparison.Ordinal)} }}");
        Assert.Equal((DeliveryStatus.Bounced, "5.3.5", "mail system configuration error"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task A_file_that_includes_itself_ends_there()
    {
        await File.WriteAllTextAsync(Out("self"), $"alice\n:include:{Out("self")}\n", TestContext.Current.CancellationToken);
        RecipientResult result = await Deliver("list@example.com", $"{{ list = :include:{Out("self")} }}");
        Assert.Equal(["alice@example.com", "list@example.com"], Into(result));
        RecipientResult inner = await Deliver("list@example.com", $"{{ list = :include:{Out("self")} }}", via: result.Into[1].Via);
        Assert.Equal((DeliveryStatus.Bounced, "5.3.5"), (inner.Status, inner.Dsn));
    }

    [Fact]
    public async Task A_table_that_cannot_be_asked_defers()
    {
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: "alias_maps = hash:/nonexistent/aliases");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0", "alias database unavailable"), (result.Status, result.Dsn, result.Reason));
    }

    [Fact]
    public async Task A_pattern_never_yields_a_command()
    {
        await File.WriteAllTextAsync(Out("re"), "/^(.*)$/ \"|echo $1\"\n", TestContext.Current.CancellationToken);
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: $"alias_maps = regexp:{Out("re")}");
        Assert.Equal(DeliveryStatus.Deferred, result.Status);
    }

    [Fact]
    public async Task An_unknown_user_goes_to_luser_relay_once()
    {
        RecipientResult result = await Deliver("carol+x@example.com", "{ a = b }", "luser_relay = $user.$extension@other.example");
        Assert.Equal(["carol.x@other.example"], Into(result));
        result = await Deliver("admin@example.com", "{ a = b }", "luser_relay = admin", via: "l=carol@example.com");
        Assert.Equal("5.1.1", result.Dsn);
    }

    [Fact]
    public async Task A_backslash_means_the_mailbox()
    {
        _rig.Write("alice", ".forward", "elsewhere@example.net\n");
        RecipientResult result = await Deliver("\\alice@example.com", "{ alice = bob }");
        Assert.Equal(("delivered to mailbox", "alice@example.com"), (result.Reason, result.LoggedAddress));
    }

    [Fact]
    public async Task A_via_without_end_bounces()
    {
        RecipientResult result = await Deliver("alice@example.com", "{ a = b }", via: string.Join(' ', Enumerable.Repeat("a=x@y", 101)));
        Assert.Equal("5.4.6", result.Dsn);
    }

    [Fact]
    public async Task The_dsn_fields_go_on_to_members_unless_it_is_a_list()
    {
        var recipient = new EnvelopeRecipient("team@example.com", "given@example.com", DsnNotify.Failure, "rfc822;orig@example.com");
        async Task<EnvelopeRecipient> Member(string aliases)
        {
            using var workers = new Server.Deliver.Agent.DeliveryWorkers("delivery", 1);
            var agent = new Server.Deliver.Agent.InProcessAgent(_rig.Services($"alias_maps = inline:{{ {aliases} }}"), workers, _rig.Log);
            DeliveryRequest plain = DeliveryRig.Request("team@example.com", new MemoryContent("Subject: x\r\n\r\n"u8.ToArray()));
            var request = new DeliveryRequest
            {
                Envelope = plain.Envelope,
                Content = plain.Content,
                Transport = plain.Transport,
                NextHop = plain.NextHop,
                Recipients = [new DeliveryRecipient(0, recipient, recipient.Address)],
                Activated = plain.Activated,
                Started = plain.Started,
            };
            return Assert.Single(Assert.Single(await agent.DeliverAsync(request, TestContext.Current.CancellationToken)).Into);
        }

        EnvelopeRecipient member = await Member("{ team = alice }");
        Assert.Equal(("given@example.com", DsnNotify.Failure, "rfc822;orig@example.com"), (member.OriginalAddress, member.Notify, member.DsnOriginalRecipient));
        member = await Member("{ team = alice }, { owner-team = boss }");
        Assert.Equal(("alice@example.com", DsnNotify.Unspecified, ""), (member.OriginalAddress, member.Notify, member.DsnOriginalRecipient));
    }
}
