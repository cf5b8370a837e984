using System.Text;
using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;
using Postwright.Server.Route;
using Postwright.Server.Tests.Receive;
using Postwright.Testing;
using Postwright.Testing.Logging;
using Postwright.Testing.Queue;

namespace Postwright.Server.Tests.Cleanup;

public sealed class CleanupTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    private readonly LogLines _log = new();
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task A_local_message_gets_the_headers_that_it_lacks()
    {
        string content = await QueueAsync("Subject: x\r\nTo: root\r\n\r\nbody\r\n", CleanupOptions.Pickup, "undisclosed_recipients_header =");
        Assert.Equal(
            "Subject: x\r\nTo: root@mx.example.com\r\nMessage-Id: <20261129120000.ID1@mx.example.com>\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000 (UTC)\r\n"
            + "From: joe@mx.example.com\r\n\r\nbody\r\n",
            content);
        Assert.Contains("postfix/cleanup: ID1: message-id=<20261129120000.ID1@mx.example.com>", _log.All);
    }

    [Theory]
    [InlineData(CleanupOptions.Pickup, "joe@mx.example.com")]
    [InlineData(CleanupOptions.Smtpd, "joe@mx.example.com")]
    [InlineData(CleanupOptions.None, "joe")]
    public async Task The_envelope_sender_is_completed_but_not_in_notices_of_our_own(CleanupOptions options, string sender)
    {
        await QueueAsync("Subject: x\r\n\r\n", options);
        using StoredMessage message = (await _store.LoadAsync("ID1", CancellationToken.None))!;
        Assert.Equal(sender, message.Envelope.Sender);
    }

    [Fact]
    public async Task A_strangers_message_stays_as_it_came()
    {
        const string Text = "Subject: x\r\nTo: root\r\n\r\nbody\r\n";
        Assert.Equal(Text, await QueueAsync(Text, CleanupOptions.Smtpd));
        Assert.Contains("postfix/cleanup: ID1: message-id=<>", _log.All);
    }

    [Fact]
    public async Task Headers_that_must_not_travel_are_dropped_with_their_continuations()
    {
        string content = await QueueAsync(
            "Bcc: a,\r\n b\r\nSubject: x\r\nReturn-Path: <a>\r\nContent-Length: 5\r\nX: y\r\n\r\nBcc: body\r\n", CleanupOptions.Smtpd);
        Assert.Equal("Subject: x\r\nX: y\r\n\r\nBcc: body\r\n", content);
    }

    [Fact]
    public async Task A_resent_message_is_completed_in_that_form()
    {
        string content = await QueueAsync("Resent-To: a@b\r\nFrom: a@b\r\nMessage-ID: <1@b>\r\n\r\n", CleanupOptions.Pickup);
        Assert.Contains("\r\nResent-Message-Id: <20261129120000.ID1@mx.example.com>\r\nResent-Date: ", content, StringComparison.Ordinal);
        Assert.Contains("\r\nResent-From: joe@mx.example.com\r\n", content, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\nDate: ", content, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("body without headers\r\n", "\r\nbody without headers\r\n")]
    [InlineData("", "\r\n")]
    [InlineData("X: y", "X: y\r\n\r\n")]
    [InlineData("X: y\r\nbody\r\n", "X: y\r\n\r\nbody\r\n")]
    [InlineData("X: y\r\n\r\nno end", "X: y\r\n\r\nno end\r\n")]
    [InlineData("X: y\r\n\r\na\rb\r\n", "X: y\r\n\r\na b\r\n")]
    [InlineData("X: y\rz\r.\r\r\n\r\n", "X: y z . \r\n\r\n")]
    public async Task Every_message_is_made_of_headers_an_empty_line_and_lines(string text, string content) =>
        Assert.Equal(content, await QueueAsync(text, CleanupOptions.Smtpd));

    [Fact]
    public async Task The_message_id_is_logged_where_it_is_folded()
    {
        await QueueAsync("Message-ID:\r\n <1@b>\r\n\r\n", CleanupOptions.Smtpd);
        Assert.Contains("postfix/cleanup: ID1: message-id=<1@b>", _log.All);
    }

    [Fact]
    public async Task A_header_longer_than_the_limit_loses_its_end()
    {
        string content = await QueueAsync($"X: {new string('a', 300)}\r\n {new string('b', 300)}\r\nY: z\r\n\r\n", CleanupOptions.Smtpd, "header_size_limit = 100");
        Assert.StartsWith("X: aaa", content, StringComparison.Ordinal);
        Assert.True(content.Length < 130);
        Assert.EndsWith("\r\nY: z\r\n\r\n", content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_maildrop_message_above_the_size_limit_is_refused()
    {
        Assert.Equal(CleanupStatus.TooLarge, (await RunAsync(new string('a', 2000), CleanupOptions.Pickup, "message_size_limit = 1000")).Status);
        Assert.Equal(0, _store.Count);
    }

    [Fact]
    public async Task Virtual_aliases_are_expanded_to_the_end()
    {
        const string Maps = "virtual_alias_maps = inline:{ {list@example.com = one@example.com, two@example.com} {one@example.com=one@example.com, three@far.example} {two@example.com=user} {@old.example=@new.example} }";
        (_, Envelope? envelope) = await RunAsync("", CleanupOptions.Smtpd, Maps, "list@example.com", "x@old.example");
        Assert.Equal(
            ["one@example.com", "three@far.example", "user@mx.example.com", "x@new.example"],
            envelope!.Recipients.Select(recipient => recipient.Address).Order(StringComparer.Ordinal));
        Assert.All(envelope.Recipients.Take(3), recipient => Assert.Equal("list@example.com", recipient.OriginalAddress));
    }

    [Theory]
    [InlineData("virtual_alias_maps = inline:{ {a@example.com=b@example.com} {b@example.com=a@example.com} }\nvirtual_alias_recursion_limit = 10")]
    [InlineData("virtual_alias_maps = fail:broken")]
    [InlineData("virtual_alias_maps = inline:{ {a@example.com=b@x c@x d@x} }\nvirtual_alias_expansion_limit = 2")]
    public async Task An_expansion_without_a_reasonable_end_is_not_accepted(string settings)
    {
        Assert.Equal(CleanupStatus.TableError, (await RunAsync("", CleanupOptions.Smtpd, settings, "a@example.com")).Status);
        Assert.Equal(0, _store.Count);
    }

    [Fact]
    public async Task A_recipient_is_kept_once()
    {
        (_, Envelope? envelope) = await RunAsync("", CleanupOptions.Smtpd, "", "a@b", "c@d", "a@b", "A@B");
        Assert.Equal(["a@b", "c@d"], envelope!.Recipients.Select(recipient => recipient.Address));
    }

    [Fact]
    public async Task Any_bytes_give_a_message_the_same_however_they_are_cut()
    {
        const string Alphabet = "Bcc: x\r\n\r\n\tTo:a ";
        FuzzTime fuzz = new(1_500_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] bytes = new byte[random.Next(0, 60)];
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = random.Next(12) == 0 ? (byte)random.Next(256) : (byte)Alphabet[random.Next(Alphabet.Length)];
            }

            string whole = Filter(bytes, bytes.Length + 1);
            Assert.True(whole == Filter(bytes, random.Next(1, 4)), $"seed {seed}");
        }

        await Task.CompletedTask;
    }

    private static string Filter(byte[] bytes, int step)
    {
        using HeaderFilter filter = new(new CleanupSettings { MyHostName = "x", HeaderSizeLimit = 40 }, null);
        int position = 0;
        while (position < bytes.Length && !filter.IsComplete)
        {
            position += filter.Read(bytes.AsSpan(position, Math.Min(step, bytes.Length - position)));
        }

        filter.End();
        return $"{Encoding.Latin1.GetString(filter.Output.Span)}|{filter.MessageId}|{filter.Seen}|{Encoding.Latin1.GetString(bytes[position..])}";
    }

    private async Task<string> QueueAsync(string text, CleanupOptions options, string settings = "")
    {
        Assert.Equal(CleanupStatus.Queued, (await RunAsync(text, options, settings)).Status);
        using StoredMessage message = (await _store.LoadAsync("ID1", CancellationToken.None))!;
        Assert.True(message.Content.TryGetMemory(out ReadOnlyMemory<byte> bytes));
        return Encoding.Latin1.GetString(bytes.Span);
    }

    private async Task<(CleanupStatus Status, Envelope? Envelope)> RunAsync(string text, CleanupOptions options, string settings, params string[] recipients)
    {
        MailConfiguration configuration = SmtpdRig.Configure(settings);
        FakeTimeProvider time = new(Now);
        time.SetLocalTimeZone(TimeZoneInfo.Utc);
        using TableRegistry tables = new(_log.For("cleanup"), time);
        AddressRewriter rewriter = new(RewriteOptions.From(configuration));
        AddressResolver resolver = new(ResolverOptions.From(configuration, tables), rewriter, _log.For("cleanup"));
        CleanupService service = new(
            CleanupSettings.From(configuration), _store, new SmtpdRig.NotedQueue(), rewriter,
            VirtualAliases.From(configuration, tables, resolver, rewriter), time, _log.For("cleanup"));
        using ICleanupMessage message = service.Begin(
            new Envelope { QueueId = "ID1", Arrival = Now, Sender = "joe", Recipients = [], Origin = MessageOrigin.Local }, options);
        foreach (string recipient in recipients.Length > 0 ? recipients : ["user@example.com"])
        {
            message.AddRecipient(new EnvelopeRecipient(recipient, recipient));
        }

        await message.WriteAsync(Encoding.Latin1.GetBytes(text), CancellationToken.None);
        CleanupStatus status = await message.FinishAsync(CancellationToken.None);
        if (status != CleanupStatus.Queued)
        {
            return (status, null);
        }

        using StoredMessage stored = (await _store.LoadAsync("ID1", CancellationToken.None))!;
        return (status, stored.Envelope);
    }
}
