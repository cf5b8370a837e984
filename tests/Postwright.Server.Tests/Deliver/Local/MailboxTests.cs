using System.Text;
using System.Text.RegularExpressions;
using Postwright.Core.Posix;
using Postwright.Server.Deliver;

namespace Postwright.Server.Tests.Deliver.Local;

public sealed class MailboxTests : IDisposable
{
    private readonly DeliveryRig _rig = new();

    public void Dispose() => _rig.Dispose();

    private string MailboxOf(string user) => Path.Combine(_rig.Spool, user);

    [Fact]
    public async Task A_mailbox_gets_the_from_line_the_headers_in_front_and_quoted_from_lines()
    {
        RecipientResult result = await _rig.Deliver(
            "Alice@example.com", "Subject: hi\r\n\r\nFrom here on\r\n>From there\r\nbare\rCR\r\nno line end", original: "alias@example.com");

        Assert.Equal((DeliveryStatus.Sent, "2.0.0", "delivered to mailbox", "local"), (result.Status, result.Dsn, result.Reason, result.Relay));
        string text = await File.ReadAllTextAsync(MailboxOf("alice"), TestContext.Current.CancellationToken);
        string expected = "Return-Path: <sender@example.org>\nX-Original-To: alias@example.com\nDelivered-To: Alice@example.com\n"
            + "Subject: hi\n\n>From here on\n>From there\nbare\rCR\nno line end\n\n";
        Assert.Matches(@"\AFrom sender@example\.org  [A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] \d\d:\d\d:\d\d \d{4}\n", text);
        Assert.Equal(expected, text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..]);
    }

    [Fact]
    public async Task A_mailbox_belongs_to_its_user_alone_and_leaves_no_lock_behind()
    {
        await _rig.Deliver("alice@example.com");
        Assert.Equal(0, DeliveryFile.Stat(MailboxOf("alice"), out FileFacts facts));
        Assert.Equal(DeliveryRig.Number(1501), facts.Uid);
        Assert.Equal(0x180u, facts.Mode & 0xFFF);
        Assert.False(File.Exists(MailboxOf("alice") + ".lock"));
    }

    [Fact]
    public async Task In_a_spool_that_only_root_may_write_root_makes_the_mailbox_and_gives_it_away()
    {
        Assert.SkipUnless(DeliveryRig.IsRoot, "needs root");
        File.SetUnixFileMode(_rig.Spool, (UnixFileMode)0b111_101_101);
        RecipientResult result = await _rig.Deliver("alice@example.com");
        Assert.Equal("delivered to mailbox", result.Reason);
        DeliveryFile.Stat(MailboxOf("alice"), out FileFacts facts);
        Assert.Equal((1501u, 1501u), (facts.Uid, facts.Gid));
    }

    [Fact]
    public async Task Mail_from_nobody_is_from_mailer_daemon()
    {
        await _rig.Deliver("alice@example.com", sender: "");
        string text = await File.ReadAllTextAsync(MailboxOf("alice"), TestContext.Current.CancellationToken);
        Assert.StartsWith("From MAILER-DAEMON  ", text, StringComparison.Ordinal);
        Assert.Contains("\nReturn-Path: <>\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_user_bounces_and_a_user_database_that_is_down_defers()
    {
        RecipientResult unknown = await _rig.Deliver("carol@example.com");
        Assert.Equal((DeliveryStatus.Bounced, "5.1.1", "unknown user: \"carol\""), (unknown.Status, unknown.Dsn, unknown.Reason));
        _rig.UsersUnavailable = true;
        RecipientResult down = await _rig.Deliver("alice@example.com");
        Assert.Equal((DeliveryStatus.Deferred, "4.3.0", "user lookup error"), (down.Status, down.Dsn, down.Reason));
    }

    [Fact]
    public async Task A_mailbox_over_its_limit_bounces_and_is_as_it_was()
    {
        string before = new('x', 100);
        await File.WriteAllTextAsync(MailboxOf("alice"), before, TestContext.Current.CancellationToken);
        DeliveryRig.Give(MailboxOf("alice"), 1501, 1501);
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: "mailbox_size_limit = 120\nmessage_size_limit = 120");
        Assert.Equal((DeliveryStatus.Bounced, "5.2.2"), (result.Status, result.Dsn));
        Assert.Equal($"cannot update mailbox {MailboxOf("alice")} for user alice. error writing message: File too large", result.Reason);
        Assert.Equal(before, await File.ReadAllTextAsync(MailboxOf("alice"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_to_its_end_leaves_the_mailbox_as_it_was()
    {
        RecipientResult result = await _rig.Deliver("alice@example.com", stored: new FileLikeContent(new byte[200_000], missing: 10));
        Assert.Equal((DeliveryStatus.Deferred, "queue file read error"), (result.Status, result.Reason));
        Assert.Equal(0, new FileInfo(MailboxOf("alice")).Length);
        Assert.False(File.Exists(MailboxOf("alice") + ".lock"));
    }

    [Fact]
    public async Task A_symbolic_link_and_a_file_of_two_names_are_refused()
    {
        string victim = Path.Combine(_rig.Root, "victim");
        await File.WriteAllTextAsync(victim, "", TestContext.Current.CancellationToken);
        DeliveryRig.Give(victim, 1501, 1501);
        File.CreateSymbolicLink(MailboxOf("alice"), victim);
        RecipientResult link = await _rig.Deliver("alice@example.com");
        Assert.Contains("file is a symbolic link", link.Reason, StringComparison.Ordinal);

        DeliveryFile.Link(victim, MailboxOf("bob"));
        RecipientResult hard = await _rig.Deliver("bob@example.com");
        Assert.DoesNotContain("delivered", hard.Reason, StringComparison.Ordinal);
        Assert.Equal(0, new FileInfo(victim).Length);
    }

    [Fact]
    public async Task A_mailbox_of_another_user_is_not_written_to()
    {
        Assert.SkipUnless(DeliveryRig.IsRoot, "needs root");
        await File.WriteAllTextAsync(MailboxOf("alice"), "", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(MailboxOf("alice"), (UnixFileMode)0b110_110_110);
        RecipientResult result = await _rig.Deliver("alice@example.com");
        Assert.Equal((DeliveryStatus.Deferred, "4.2.0"), (result.Status, result.Dsn));
        Assert.EndsWith("is not owned by recipient", result.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dotlock")]
    [InlineData("fcntl")]
    [InlineData("flock")]
    public async Task A_locked_mailbox_defers(string method)
    {
        await File.WriteAllTextAsync(MailboxOf("alice"), "", TestContext.Current.CancellationToken);
        DeliveryRig.Give(MailboxOf("alice"), 1501, 1501);
        int held = DeliveryFile.Open(MailboxOf("alice"), OpenFlags.ReadWrite);
        try
        {
            _ = method switch
            {
                "fcntl" => FileLocks.TryFcntl(held),
                "flock" => FileLocks.TryFlock(held),
                _ => DeliveryFile.Close(DeliveryFile.Open(MailboxOf("alice") + ".lock", OpenFlags.WriteOnly | OpenFlags.Create)),
            };
            RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: $"mailbox_delivery_lock = {method}");
            Assert.Equal((DeliveryStatus.Deferred, "4.2.0"), (result.Status, result.Dsn));
        }
        finally
        {
            DeliveryFile.Close(held);
        }
    }

    [Fact]
    public async Task Deliveries_to_one_mailbox_at_once_do_not_mix()
    {
        string body = string.Concat(Enumerable.Repeat("0123456789\r\n", 20_000));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _rig.Deliver(
            "alice@example.com", "Subject: x\r\n\r\n" + body, mainCf: "deliver_lock_attempts = 1000\nmailbox_delivery_lock = fcntl")));
        string text = await File.ReadAllTextAsync(MailboxOf("alice"), TestContext.Current.CancellationToken);
        Assert.Equal(8, Regex.Count(text, "(^|\n\n)From sender"));
        Assert.Equal(160_000, Regex.Count(text, "\n0123456789(?=\n)"));
    }

    [Fact]
    public async Task Lines_are_told_apart_wherever_the_chunks_of_a_file_end()
    {
        string body = "Subject: x\r\n\r\n" + string.Concat(Enumerable.Range(0, 30_000).Select(i => $"From {i}\r\n")) + new string('y', 70_000) + "\r\nend\r\n";
        await _rig.Deliver("alice@example.com", stored: new FileLikeContent(Encoding.ASCII.GetBytes(body)));
        string text = await File.ReadAllTextAsync(MailboxOf("alice"), TestContext.Current.CancellationToken);
        Assert.EndsWith(body.Replace("\r\n", "\n", StringComparison.Ordinal).Replace("\nFrom ", "\n>From ", StringComparison.Ordinal) + "\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mail_that_was_here_before_is_a_loop()
    {
        RecipientResult result = await _rig.Deliver("alice@example.com", "Received: x\r\ndelivered-to:  ALICE@example.com\r\n\r\nbody\r\n");
        Assert.Equal((DeliveryStatus.Bounced, "5.4.6", "mail forwarding loop for alice@example.com"), (result.Status, result.Dsn, result.Reason));
        RecipientResult inBody = await _rig.Deliver("alice@example.com", "Subject: x\r\n\r\nDelivered-To: alice@example.com\r\n");
        Assert.Equal(DeliveryStatus.Sent, inBody.Status);
    }

    [Fact]
    public async Task Home_mailbox_is_a_file_in_the_home_or_a_maildir_with_a_slash()
    {
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice@example.com", mainCf: "home_mailbox = Mailbox")).Reason);
        Assert.True(File.Exists(Path.Combine(_rig.HomeOf("alice"), "Mailbox")));
        Assert.Equal("delivered to maildir", (await _rig.Deliver("alice@example.com", mainCf: "home_mailbox = Maildir/")).Reason);
        string file = Assert.Single(Directory.GetFiles(Path.Combine(_rig.HomeOf("alice"), "Maildir/new")));
        Assert.Matches(@"^\d+\.V[0-9a-f]+I[0-9a-f]+M\d+\.mx\.test$", Path.GetFileName(file));
        Assert.Equal(
            "Return-Path: <sender@example.org>\nX-Original-To: alice@example.com\nDelivered-To: alice@example.com\nSubject: hi\n\nHello\n",
            await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        Assert.Empty(Directory.GetFiles(Path.Combine(_rig.HomeOf("alice"), "Maildir/tmp")));
        DeliveryFile.Stat(file, out FileFacts facts);
        Assert.Equal(DeliveryRig.Number(1501), facts.Uid);
    }

    [Fact]
    public async Task Many_deliveries_at_once_get_names_of_their_own()
    {
        await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => _rig.Deliver("alice@example.com", mainCf: "home_mailbox = Maildir/")));
        Assert.Equal(100, Directory.GetFiles(Path.Combine(_rig.HomeOf("alice"), "Maildir/new")).Length);
    }

    [Fact]
    public async Task A_maildir_that_may_not_be_made_bounces_as_in_postfix()
    {
        Assert.SkipUnless(DeliveryRig.IsRoot, "needs root");
        DeliveryRig.Give(_rig.HomeOf("alice"), 0, 0);
        RecipientResult result = await _rig.Deliver("alice@example.com", mainCf: "home_mailbox = Maildir/");
        Assert.Equal((DeliveryStatus.Bounced, "5.2.0"), (result.Status, result.Dsn));
        Assert.StartsWith("maildir delivery failed: create maildir file ", result.Reason, StringComparison.Ordinal);
        Assert.EndsWith(": Permission denied", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_extension_does_not_count_for_the_mailbox()
    {
        Assert.Equal("delivered to mailbox", (await _rig.Deliver("alice+lists@example.com", mainCf: "recipient_delimiter = +")).Reason);
        Assert.True(File.Exists(MailboxOf("alice")));
        Assert.Equal("5.1.1", (await _rig.Deliver("alice+lists@example.com")).Dsn);
    }

    [Fact]
    public async Task Postmaster_without_alias_is_discarded_with_a_warning()
    {
        RecipientResult result = await _rig.Deliver("postmaster@example.com");
        Assert.Equal((DeliveryStatus.Sent, "discarded"), (result.Status, result.Reason));
        Assert.Contains(_rig.Lines.All, line => line.Contains("warning: 3TESTID: required alias not found: postmaster", StringComparison.Ordinal));
    }
}
