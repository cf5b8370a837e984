using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>The spool on a real disk: what goes in comes out, now and after a restart.</summary>
public sealed class SpoolTests : IDisposable
{
    private readonly SpoolFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    [InlineData(100_000)]
    [InlineData(300_000)]
    public async Task A_message_is_read_back_as_it_came_from_memory_and_from_disk(int length)
    {
        Envelope sent;
        string id;
        await using (var spool = await _folder.OpenAsync())
        {
            id = spool.NewQueueId();
            sent = SpoolFolder.Message(id, "a@example.org") with
            {
                Sender = "",
                Recipients =
                [
                    new EnvelopeRecipient("a@example.org", "alias@example.org", DsnNotify.Success | DsnNotify.Delay, "rfc822;x+y@example.org"),
                    new EnvelopeRecipient("ü@exämple.org", "ü@exämple.org", DsnNotify.Never),
                    new EnvelopeRecipient("lone\udc80surrogate@example.org", "b"),
                ],
                Return = DsnReturn.Headers,
                EnvelopeId = "env id",
                Encoding = MessageEncoding.EightBitMime | MessageEncoding.SmtpUtf8,
                IsNotice = true,
            };
            await SpoolFolder.AppendAsync(spool, _ => sent with { QueueId = id = _ }, length);
            sent = sent with { QueueId = id };
            await CheckAsync(spool);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            await CheckAsync(spool);
            Assert.Empty(spool.Damages);
        }

        async Task CheckAsync(Server.Queue.Spool.Spool spool)
        {
            using StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
            Assert.NotNull(message);
            Assert.Equal(sent.Recipients, message.Envelope.Recipients);
            Assert.Equal(sent with { Recipients = [], Size = 0 }, message.Envelope with { Recipients = [], Size = 0 });
            Assert.Equal(length, message.Content.Length);
            Assert.Equal(SpoolFolder.Text(id, length), await SpoolFolder.ReadAsync(message.Content));
            Assert.Equal(QueueName.Incoming, message.Entry.Queue);
            Assert.All(message.States, state => Assert.Equal(RecipientStatus.Pending, state.Status));
        }
    }

    [Fact]
    public async Task Results_delays_and_expansions_survive_a_restart()
    {
        string id;
        var next = new DateTimeOffset(2026, 1, 2, 4, 0, 0, TimeSpan.Zero);
        await using (var spool = await _folder.OpenAsync())
        {
            id = await SpoolFolder.AppendAsync(spool, id => SpoolFolder.Message(id, "a@x.org", "b@x.org", "c@x.org"));
            Assert.True(await spool.RecordAsync([new RecipientsDone(id, [0])], urgent: true));
            Assert.True(await spool.RecordAsync([new RecipientExpanded(id, 1, [new EnvelopeRecipient("d@x.org", "b@x.org"), new EnvelopeRecipient("e@x.org", "b@x.org") { Via = "a=b@x.org m=|cmd" }])]));
            Assert.True(await spool.RecordAsync([new MessageDeferred(id, next, [new RecipientDelay(2, "4.4.1", "connection refused")])]));
            Assert.True(await spool.RecordAsync([new MessageDeferred(id, next, [new RecipientDelay(4, "4.2.2", "mailbox full")]) { WarningsSent = 2 }]));
            await CheckAsync(spool);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            await CheckAsync(spool);
            Assert.True(await spool.RecordAsync([new MessageHeld(id), new RecipientsDone(id, [2])], urgent: true));
            Assert.True(spool.TryGetEntry(id, out QueueEntry entry));
            Assert.Equal(QueueName.Hold, entry.Queue);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            Assert.Equal(QueueName.Hold, Assert.Single(spool.Entries()).Queue);
            Assert.True(await spool.RecordAsync([new MessageExpired(id, Release: true)], urgent: true));
            QueueEntry entry = Assert.Single(spool.Entries());
            Assert.Equal((QueueName.Deferred, true, entry.Arrival), (entry.Queue, entry.ForceExpire, entry.NextAttempt));
            Assert.True(await spool.RecordAsync([new MessageRemoved(id)], urgent: true));
            Assert.Null(await spool.LoadAsync(id, CancellationToken.None));
        }

        await using (var spool = await _folder.OpenAsync())
        {
            Assert.Empty(spool.Entries());
        }

        async Task CheckAsync(Server.Queue.Spool.Spool spool)
        {
            using StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
            Assert.NotNull(message);
            Assert.Equal(["a@x.org", "b@x.org", "c@x.org", "d@x.org", "e@x.org"], message.Envelope.Recipients.Select(r => r.Address));
            Assert.Equal("a=b@x.org m=|cmd", message.Envelope.Recipients[4].Via);
            Assert.Equal([RecipientStatus.Done, RecipientStatus.Done, RecipientStatus.Pending, RecipientStatus.Pending, RecipientStatus.Pending], message.States.Select(s => s.Status));
            Assert.Equal(("connection refused", "4.4.1"), (message.States[2].DelayReason, message.States[2].DelayDsn));
            Assert.Equal("mailbox full", message.States[4].DelayReason);
            Assert.Equal((QueueName.Deferred, next, 2), (message.Entry.Queue, message.Entry.NextAttempt, message.WarningsSent));
        }
    }

    [Fact]
    public async Task Many_writers_at_once_all_find_their_messages_again_over_several_segments()
    {
        string[] ids;
        await using (var spool = await _folder.OpenAsync())
        {
            ids = await Task.WhenAll(Enumerable.Range(0, 40).Select(writer => Task.Run(async () =>
            {
                string last = "";
                for (int i = 0; i < 60; i++)
                {
                    last = await SpoolFolder.AppendAsync(spool, make: null, length: 1500);
                    if (i != 59)
                    {
                        _ = spool.RecordAsync([new RecipientsDone(last, [0]), new MessageRemoved(last)]);
                    }
                }

                return last;
            })));
        }

        Assert.True(string.CompareOrdinal(_folder.Files("*.log").Select(Path.GetFileName).Max(), "0000000002.log") > 0);
        await using (var spool = await _folder.OpenAsync())
        {
            Assert.Equal(ids.Order(), spool.Entries().Select(entry => entry.QueueId).Order());
            foreach (string id in ids)
            {
                using StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
                Assert.Equal(SpoolFolder.Text(id, 1500), await SpoolFolder.ReadAsync(message!.Content));
            }
        }
    }

    [Fact]
    public async Task The_space_of_mail_that_is_gone_is_won_back_although_no_more_comes()
    {
        await using var spool = await _folder.OpenAsync();
        List<string> ids = [];
        for (int i = 0; i < 100; i++)
        {
            ids.Add(await SpoolFolder.AppendAsync(spool, make: null, length: 100_000));
        }

        Assert.InRange(_folder.Files("*.log").Length, 8, 20);
        foreach (string id in ids)
        {
            Assert.True(await spool.RecordAsync([new MessageRemoved(id)], urgent: true));
        }

        for (int i = 0; i < 6000 && _folder.Files("*.log").Length > 2; i++)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.InRange(_folder.Files("*.log").Length, 1, 2);
        Assert.InRange(_folder.Files("free-*").Length, 0, 3);
    }

    [Fact]
    public async Task Messages_are_read_and_changed_while_their_segments_are_emptied_and_reused()
    {
        _folder.Options = _folder.Options with { CompactionRate = 0, CacheLimit = 50_000 };
        var kept = new System.Collections.Concurrent.ConcurrentBag<string>();
        await using (var spool = await _folder.OpenAsync())
        {
            await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
            {
                var random = new Random(writer);
                for (int i = 0; i < 200; i++)
                {
                    string id = await SpoolFolder.AppendAsync(spool, make: null, length: 6000);
                    if (i % 10 == 0)
                    {
                        kept.Add(id);
                        await spool.RecordAsync([new MessageDeferred(id, DateTimeOffset.UnixEpoch, [new RecipientDelay(0, "4.0.0", id)])], urgent: true);
                    }
                    else
                    {
                        _ = spool.RecordAsync([new MessageRemoved(id)]);
                    }

                    string[] all = [.. kept];
                    if (all.Length > 0)
                    {
                        await CheckAsync(spool, all[random.Next(all.Length)]);
                    }
                }
            })));
            for (int i = 0; i < 6000 && _folder.Files("*.log").Length >= 8; i++)
            {
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }

            Assert.InRange(_folder.Files("*.log").Length, 1, 7);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            Assert.Equal(kept.Order(), spool.Entries().Select(entry => entry.QueueId).Order());
            foreach (string id in kept)
            {
                await CheckAsync(spool, id);
            }

            Assert.Empty(spool.Damages);
        }

        static async Task CheckAsync(Server.Queue.Spool.Spool spool, string id)
        {
            using StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
            Assert.NotNull(message);
            Assert.Equal(SpoolFolder.Text(id, 6000), await SpoolFolder.ReadAsync(message.Content));
            Assert.True(message.States[0].DelayReason == id || message.Entry.Queue == QueueName.Incoming);
        }
    }

    [Fact]
    public async Task A_second_writer_is_refused_until_the_first_has_gone()
    {
        await using (await _folder.OpenAsync())
        {
            var refused = await Assert.ThrowsAsync<SpoolInUseException>(() => _folder.OpenOnceAsync());
            Assert.Contains(_folder.Options.Directory, refused.Message, StringComparison.Ordinal);
        }

        await using (await _folder.OpenAsync())
        {
        }
    }

    [Fact]
    public async Task A_maildrop_file_is_queued_once_also_after_a_restart_and_after_its_delivery()
    {
        string id;
        await using (var spool = await _folder.OpenAsync())
        {
            id = await SpoolFolder.AppendAsync(spool, id => SpoolFolder.Message(id) with { MaildropKey = "ABC:7" });
            await RefusedAsync(spool);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            await RefusedAsync(spool);
            await spool.RecordAsync([new MessageRemoved(id)], urgent: true);
            await RefusedAsync(spool);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            await RefusedAsync(spool);
        }

        static async Task RefusedAsync(Server.Queue.Spool.Spool spool)
        {
            Envelope again = SpoolFolder.Message(spool.NewQueueId()) with { MaildropKey = "ABC:7" };
            Assert.Equal(StoreStatus.Duplicate, await spool.AppendAsync(again, new MemoryContent(SpoolFolder.Text("x")), CancellationToken.None));
        }
    }

    [Fact]
    public async Task A_maildrop_file_is_taken_in_again_when_its_message_has_lost_its_content()
    {
        string lost;
        await using (var spool = await _folder.OpenAsync())
        {
            lost = await SpoolFolder.AppendAsync(spool, id => SpoolFolder.Message(id) with { MaildropKey = "ABC:8" }, length: 200_000);
        }

        File.Delete(Assert.Single(_folder.Files("*.content")));
        string id;
        await using (var spool = await _folder.OpenAsync())
        {
            Assert.True(spool.TryGetEntry(lost, out QueueEntry entry));
            Assert.Equal(QueueName.Corrupt, entry.Queue);
            id = await SpoolFolder.AppendAsync(spool, id => SpoolFolder.Message(id) with { MaildropKey = "ABC:8" }, length: 200_000);
        }

        await using (var spool = await _folder.OpenAsync())
        {
            using StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
            Assert.Equal(SpoolFolder.Text(id, 200_000), await SpoolFolder.ReadAsync(message!.Content));
        }
    }

    [Fact]
    public async Task Large_contents_are_files_that_go_with_their_message()
    {
        await using var spool = await _folder.OpenAsync();
        string id = await SpoolFolder.AppendAsync(spool, length: 200_000);
        Assert.Single(_folder.Files("*.content"));
        using (ContentWriter thrownAway = spool.CreateContent())
        {
            await thrownAway.WriteAsync(new byte[200_000], CancellationToken.None);
            Assert.Equal(2, _folder.Files("*.content").Length);
        }

        await UntilFilesAsync(1);
        using (StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None))
        {
            Assert.True(await spool.RecordAsync([new MessageRemoved(id)], urgent: true));
            Assert.Equal(SpoolFolder.Text(id, 200_000), await SpoolFolder.ReadAsync(message!.Content));

            // Here, while it is read: a file that nobody reads may be kept for a later content instead.
            await UntilFilesAsync(0);
        }
    }

    private async Task UntilFilesAsync(int count)
    {
        for (int i = 0; i < 6000 && _folder.Files("*.content").Length != count; i++)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.Equal(count, _folder.Files("*.content").Length);
    }

    [Fact]
    public async Task Arriving_content_above_the_common_limit_goes_to_files()
    {
        _folder.Options = _folder.Options with { InlineMemoryLimit = 150_000 };
        await using var spool = await _folder.OpenAsync();
        using ContentWriter first = spool.CreateContent();
        using ContentWriter second = spool.CreateContent();
        await first.WriteAsync(new byte[100_000], CancellationToken.None);
        await second.WriteAsync(new byte[100_000], CancellationToken.None);
        Assert.Single(_folder.Files("*.content"));
        first.Dispose();
        using ContentWriter third = spool.CreateContent();
        await third.WriteAsync(new byte[100_000], CancellationToken.None);
        Assert.Single(_folder.Files("*.content"));
    }

    [Fact]
    public async Task A_message_of_another_can_be_queued_anew_from_its_loaded_content()
    {
        await using var spool = await _folder.OpenAsync();
        foreach (int length in new[] { 1000, 200_000 })
        {
            string id = await SpoolFolder.AppendAsync(spool, length: length);
            string again = spool.NewQueueId();
            StoredMessage? message = await spool.LoadAsync(id, CancellationToken.None);
            Assert.Equal(StoreStatus.Stored, await spool.AppendAsync(message!.Envelope with { QueueId = again }, message.Content, CancellationToken.None));
            Assert.True(await spool.RecordAsync([new MessageRemoved(id)], urgent: true));
            using StoredMessage? copy = await spool.LoadAsync(again, CancellationToken.None);
            Assert.Equal(SpoolFolder.Text(id, length), await SpoolFolder.ReadAsync(copy!.Content));
        }
    }

    [Fact]
    public async Task The_reader_shows_the_same_queue_without_a_lock()
    {
        await using var spool = await _folder.OpenAsync();
        string id = await SpoolFolder.AppendAsync(spool);
        string held = await SpoolFolder.AppendAsync(spool, id => SpoolFolder.Message(id) with { Hold = true }, 200_000);
        using var reader = new SpoolReader(_folder.Options, _folder.Disk);
        Assert.Equal(spool.Entries(), reader.Entries());
        using StoredMessage? message = reader.Load(held);
        Assert.Equal(SpoolFolder.Text(held, 200_000), await SpoolFolder.ReadAsync(message!.Content));
        using StoredMessage? other = reader.Load(id);
        Assert.Equal(SpoolFolder.Text(id), await SpoolFolder.ReadAsync(other!.Content));
    }

    [Theory]
    [InlineData(false, "^[0-9A-F]{10,}$")]
    [InlineData(true, "^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]+$")]
    public async Task Queue_ids_look_like_those_of_Postfix(bool longIds, string shape)
    {
        _folder.Options = _folder.Options with { LongQueueIds = longIds };
        await using var spool = await _folder.OpenAsync();
        string[] ids = [.. Enumerable.Range(0, 1000).Select(_ => spool.NewQueueId())];
        Assert.All(ids, id => Assert.Matches(shape, id));
        Assert.Equal(1000, ids.Distinct().Count());
    }
}
