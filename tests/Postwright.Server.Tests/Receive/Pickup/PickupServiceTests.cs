using System.Diagnostics;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;
using Postwright.Server.Receive.Pickup;
using Postwright.Testing;

namespace Postwright.Server.Tests.Receive.Pickup;

public sealed class PickupServiceTests : IDisposable
{
    private readonly MaildropFixture _maildrop = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _maildrop.Dispose();

    [Fact]
    public async Task What_was_taken_away_is_made_durable_once_a_batch_and_not_for_nothing()
    {
        WatchedMaildrop watched = new(_maildrop.Directory);
        PickupService pickup = _maildrop.PickupOf(watched);
        await pickup.TakeAllAsync(Cancellation);
        Assert.Empty(watched.Calls);
        _maildrop.DropMessage("ABCDE123");
        _maildrop.DropMessage("ABCDE124");
        Assert.Equal(2, await pickup.TakeAllAsync(Cancellation));
        Assert.Equal(["remove", "remove", "sync"], watched.Calls);
    }

    private sealed class WatchedMaildrop(IMaildrop inner) : IMaildrop
    {
        public List<string> Calls { get; } = [];

        public bool Exists => inner.Exists;

        public IEnumerable<MaildropEntry> Ready() => inner.Ready();

        public Stream? Open(MaildropEntry entry) => inner.Open(entry);

        public bool Remove(MaildropEntry entry)
        {
            lock (Calls)
            {
                Calls.Add("remove");
            }

            return inner.Remove(entry);
        }

        public void SyncRemovals()
        {
            inner.SyncRemovals();
            Calls.Add("sync");
        }
    }

    [Fact]
    public async Task A_message_goes_to_cleanup_and_its_file_away()
    {
        _maildrop.DropMessage();
        Assert.Equal(1, await _maildrop.Pickup.TakeAllAsync(Cancellation));

        MaildropFixture.TakenMessage message = Assert.Single(_maildrop.Taken);
        Assert.Equal(("joe", "Joe User", "QUEUEID1"), (message.Envelope.Sender, message.Envelope.SenderFullName, message.Envelope.QueueId));
        Assert.Equal(CleanupOptions.Pickup, message.Options);
        Assert.Equal("root", Assert.Single(message.Recipients).Address);
        Assert.StartsWith("Received: by host.example.com (Postfix, from userid ", message.Content, StringComparison.Ordinal);
        Assert.Matches("\r\n\tid QUEUEID1; \\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}( \\(\\w+\\))?\r\n", message.Content);
        Assert.EndsWith("\r\nSubject: test\r\n\r\nbody\r\n", message.Content, StringComparison.Ordinal);
        Assert.Empty(_maildrop.FilesLeft);
        Assert.Matches("^postfix/pickup: QUEUEID1: uid=\\d+ from=<joe>$", Assert.Single(_maildrop.Log.All));
    }

    [Theory]
    [InlineData(CleanupStatus.WriteError, "queue file write error")]
    [InlineData(CleanupStatus.NoSpace, "insufficient system storage")]
    [InlineData(CleanupStatus.TableError, "service unavailable")]
    public async Task A_temporary_failure_keeps_the_file_for_the_next_time(CleanupStatus status, string words)
    {
        _maildrop.DropMessage();
        _maildrop.Answer = status;
        Assert.Equal(0, await _maildrop.Pickup.TakeAllAsync(Cancellation));
        Assert.Equal(["ABCDE123"], _maildrop.FilesLeft);
        Assert.Contains($"postfix/pickup: warning: maildrop/ABCDE123: error writing QUEUEID1: {words}", _maildrop.Log.All);

        _maildrop.Answer = CleanupStatus.Queued;
        Assert.Equal(1, await _maildrop.Pickup.TakeAllAsync(Cancellation));
        Assert.Empty(_maildrop.FilesLeft);
    }

    [Fact]
    public async Task What_is_in_the_queue_already_after_a_crash_is_only_removed()
    {
        string path = _maildrop.DropMessage();
        _maildrop.Answer = CleanupStatus.WriteError;
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        _maildrop.Answer = CleanupStatus.Duplicate;
        await _maildrop.Pickup.TakeAllAsync(Cancellation);

        Assert.False(File.Exists(path));
        Assert.Single(_maildrop.Taken.Select(message => message.Envelope.MaildropKey).Distinct());
        Assert.StartsWith("ABCDE123:", _maildrop.Taken[0].Envelope.MaildropKey, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_refused_for_good_is_kept_but_not_copied_again()
    {
        _maildrop.DropMessage();
        _maildrop.Answer = CleanupStatus.TooManyHops;
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        Assert.Equal(["ABCDE123"], _maildrop.FilesLeft);
        Assert.Single(_maildrop.Taken);
    }

    [Fact]
    public async Task Recipients_after_the_content_and_dsn_attributes_reach_the_envelope()
    {
        _maildrop.Drop(
            "ABCDE124", (RecordType.Attribute, "envelope_id=E17"), (RecordType.Attribute, "ret_flags=2"), (RecordType.Sender, ""), (RecordType.Attribute, "encoding=8bit"),
            (RecordType.Message, ""), (RecordType.Line, "To: a@b"), (RecordType.Extracted, ""),
            (RecordType.Attribute, "notify_flags=10"), (RecordType.Recipient, "a@b"), (RecordType.Recipient, "c@d"), (RecordType.End, ""));
        await _maildrop.Pickup.TakeAllAsync(Cancellation);

        MaildropFixture.TakenMessage message = Assert.Single(_maildrop.Taken);
        Assert.Equal(("E17", DsnReturn.Headers, MessageEncoding.EightBitMime), (message.Envelope.EnvelopeId, message.Envelope.Return, message.Envelope.Encoding));
        Assert.Equal(
            [new EnvelopeRecipient("a@b", "a@b", DsnNotify.Success | DsnNotify.Delay), new EnvelopeRecipient("c@d", "c@d")], message.Recipients);
    }

    [Fact]
    public async Task A_report_that_sendmail_v_asks_for_is_a_notify_of_everything()
    {
        _maildrop.Drop(
            "ABCDE125", (RecordType.Sender, "joe"), (RecordType.Attribute, "trace_flags=1024"), (RecordType.Recipient, "a@b"),
            (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        Assert.Equal(DsnNotify.Success | DsnNotify.Failure | DsnNotify.Delay, _maildrop.Taken[0].Recipients[0].Notify);
    }

    [Fact]
    public async Task A_verp_request_is_said_to_be_ignored_and_a_probe_is_not_delivered()
    {
        _maildrop.Drop(
            "VERP1", (RecordType.Sender, "joe"), (RecordType.Verp, "+="), (RecordType.Recipient, "a@b"), (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        _maildrop.Drop(
            "PROBE2", (RecordType.Sender, "joe"), (RecordType.Attribute, "trace_flags=512"), (RecordType.Recipient, "a@b"),
            (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        Assert.Equal(2, await _maildrop.Pickup.TakeAllAsync(Cancellation));
        Assert.StartsWith("VERP1:", Assert.Single(_maildrop.Taken).Envelope.MaildropKey, StringComparison.Ordinal);
        Assert.Contains(_maildrop.Log.All, static line => line.EndsWith("variable envelope return paths are not supported: sent without", StringComparison.Ordinal));
        Assert.Contains(_maildrop.Log.All, static line => line.EndsWith("address probes are not supported", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Gateway_mail_is_not_completed()
    {
        _maildrop.Drop(
            "ABCDE126", (RecordType.Attribute, "rewrite_context=remote"), (RecordType.Sender, "joe"), (RecordType.Recipient, "a@b"),
            (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        Assert.Equal(CleanupOptions.Smtpd, _maildrop.Taken[0].Options);
    }

    [Fact]
    public async Task Line_breaks_inside_a_line_cannot_make_lines()
    {
        _maildrop.Drop(
            "ABCDE127", (RecordType.Sender, "joe"), (RecordType.Recipient, "a@b"), (RecordType.Message, ""),
            (RecordType.Line, " first\r\n.\r\nMAIL FROM:<x>"), (RecordType.Continued, "a\n"), (RecordType.Line, "b"), (RecordType.Continued, "end"), (RecordType.Extracted, ""), (RecordType.End, ""));
        await _maildrop.Pickup.TakeAllAsync(Cancellation);
        string content = _maildrop.Taken[0].Content;
        Assert.EndsWith("\r\n\r\n first  .  MAIL FROM:<x>\r\na b\r\nend\r\n", content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Malformed_files_are_logged_and_removed_before_cleanup_sees_them()
    {
        _maildrop.DropBytes("CUT1", [(byte)'S', 4, (byte)'j']);
        _maildrop.Drop("NOEND2", (RecordType.Sender, "joe"), (RecordType.Recipient, "a"), (RecordType.Message, ""));
        _maildrop.Drop("ORDER3", (RecordType.Line, "x"));
        _maildrop.Drop("NOSENDER4", (RecordType.Recipient, "a"), (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        _maildrop.Drop("NORCPT5", (RecordType.Sender, "joe"), (RecordType.Message, ""), (RecordType.Extracted, ""), (RecordType.End, ""));
        Assert.Equal(5, await _maildrop.Pickup.TakeAllAsync(Cancellation));
        Assert.Empty(_maildrop.Taken);
        Assert.Equal(5, _maildrop.Log.All.Count(line => line.Contains("warning: ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Unfinished_foreign_and_tricky_files_stay_where_they_are()
    {
        File.SetUnixFileMode(_maildrop.DropMessage("UNFINISHED1"), (UnixFileMode)0b110_100_100);
        string linked = _maildrop.DropMessage("LINKED2");
        using (Process link = Process.Start("ln", [linked, Path.Combine(_maildrop.Root, "second-name")]))
        {
            await link.WaitForExitAsync(Cancellation);
        }

        File.CreateSymbolicLink(Path.Combine(_maildrop.Maildrop, "SYMLINK3"), _maildrop.DropBytes("../outside", [1, 2, 3]));
        Directory.CreateDirectory(Path.Combine(_maildrop.Maildrop, "DIRECTORY4"));
        _maildrop.DropMessage("bad.name");

        Assert.Equal(0, await _maildrop.Pickup.TakeAllAsync(Cancellation));
        Assert.Empty(_maildrop.Taken);
        Assert.Equal(["LINKED2", "SYMLINK3", "UNFINISHED1", "bad.name"], _maildrop.FilesLeft);
        Assert.Contains(_maildrop.Log.All, line => line.EndsWith("not a regular file: maildrop/SYMLINK3", StringComparison.Ordinal));
        Assert.Contains(_maildrop.Log.All, line => line.EndsWith("bogus file name: maildrop/bad.name", StringComparison.Ordinal));
        Assert.Contains(_maildrop.Log.All, line => line.EndsWith("file maildrop/LINKED2 has 2 links", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_wake_up_is_answered_at_once_and_a_forgotten_one_within_the_interval()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        Task running = _maildrop.Pickup.RunAsync(stop.Token);

        _maildrop.DropMessage("WOKEN1");
        _maildrop.Pickup.Wake();
        await UntilTakenAsync(1);

        _maildrop.DropMessage("FORGOTTEN2");

        // The timer may not be set yet: small steps until it has fired.
        await Until.True(_maildrop.Clock, TimeSpan.FromSeconds(20), () => _maildrop.FilesLeft.Length == 0);

        await stop.CancelAsync();
        await running;
        Assert.Equal(2, _maildrop.Taken.Count);
    }

    private async Task UntilTakenAsync(int count)
    {
        for (int i = 0; i < 60_000 / 5 && (_maildrop.Taken.Count < count || _maildrop.FilesLeft.Length > 0); i++)
        {
            await Task.Delay(5, Cancellation);
        }

        Assert.Equal(count, _maildrop.Taken.Count);
    }
}
