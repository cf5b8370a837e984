using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>No record is larger than an empty segment (64 KiB here), and nothing that cannot be written stands in front of what can.</summary>
public sealed class RecordBoundTests : SimulatedSpoolTests
{
    [Fact]
    public void Reasons_that_together_exceed_a_segment_are_recorded_shortened()
    {
        string id = AppendTo(22);
        string text = string.Concat(Enumerable.Repeat("450-4.2.1 später ", 3600));
        DateTimeOffset next = _time.GetUtcNow().AddHours(1);
        Assert.True(Record(new MessageDeferred(id, next, [.. Enumerable.Range(0, 22).Select(i => new RecipientDelay(i, "4.2.1", text))])));
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Restart();
        StoredMessage stored = Load(id);
        Assert.Equal(next, stored.Entry.NextAttempt);
        Assert.All(stored.States, state =>
        {
            Assert.Equal("4.2.1", state.DelayDsn);
            Assert.InRange(state.DelayReason.Length, 100, text.Length - 1);
            Assert.StartsWith(state.DelayReason, text, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void With_more_recipients_than_there_is_room_for_reasons_the_next_attempt_is_recorded_without()
    {
        string id = AppendTo(1000);
        DateTimeOffset next = _time.GetUtcNow().AddHours(1);
        Assert.True(Record(new MessageDeferred(id, next, [.. Enumerable.Range(0, 1000).Select(i => new RecipientDelay(i, "4.2.1", new string('x', 500)))])));
        Restart();
        Assert.Equal(next, Load(id).Entry.NextAttempt);
    }

    [Fact]
    public void An_expansion_larger_than_a_segment_is_recorded_in_parts()
    {
        string id = AppendTo(2);
        Assert.True(Record(new RecipientExpanded(id, 0, Members(3000))));
        Assert.True(Record(new RecipientsDone(id, [2, 3001])));
        Restart();
        StoredMessage stored = Load(id);
        Assert.Equal(3002, stored.Envelope.Recipients.Count);
        Assert.Equal(Members(3000), stored.Envelope.Recipients.Skip(2));
        Assert.Equal([0, 2, 3001], Enumerable.Range(0, 3002).Where(i => stored.States[i].Status == RecipientStatus.Done));
        Compact();
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.Equal(3002, Load(id).Envelope.Recipients.Count);
    }

    [Fact]
    public void A_crash_between_the_parts_of_an_expansion_leaves_its_recipient_to_be_expanded_again()
    {
        string id = AppendTo(1);
        int syncs = 0;
        _disk.Fault = (call, _) => call == DiskCall.Sync && ++syncs > 1 ? DiskException.InputOutput : 0;
        Assert.False(Record(new RecipientExpanded(id, 0, Members(3000))));
        Restart();
        StoredMessage stored = Load(id);
        Assert.InRange(stored.Envelope.Recipients.Count, 2, 3000);
        Assert.All(stored.States, static state => Assert.Equal(RecipientStatus.Pending, state.Status));
    }

    [Fact]
    public void More_results_at_once_than_a_segment_holds_are_recorded_in_parts()
    {
        string id = AppendTo(1000);
        Assert.True(Record(new RecipientsDone(id, [.. Enumerable.Range(0, 100_000).Select(static i => i % 999)])));
        Restart();
        Assert.Equal([999], Enumerable.Range(0, 1000).Where(i => Load(id).States[i].Status == RecipientStatus.Pending));
    }

    [Fact]
    public void A_message_whose_envelope_exceeds_a_segment_is_refused_by_itself_and_the_log_names_the_remedy()
    {
        string[] many = [.. Enumerable.Range(0, 4000).Select(static i => $"recipient{i}@example.org")];
        ValueTask<StoreStatus> large = Append(change: envelope => SpoolFolder.Message(envelope.QueueId, many));
        ValueTask<StoreStatus> behind = Append();
        Settle();
        Assert.Equal(StoreStatus.NoSpace, Finished(large));
        Assert.Equal(StoreStatus.Stored, Finished(behind));
        Assert.Contains(_log, static line => line.Contains("spool_segment_size", StringComparison.Ordinal));
        Restart();
        Assert.Single(_spool.Entries());
    }

    [Fact]
    public void A_change_that_no_segment_can_hold_is_given_up_and_those_behind_it_go_on()
    {
        string id = AppendTo(1);
        string other = AppendTo(1);
        Task<bool> lost = _spool.RecordAsync([new RecipientExpanded(id, 0, [new EnvelopeRecipient(new string('a', 100_000), "x")])]);
        Task<bool> behind = _spool.RecordAsync([new MessageHeld(other)], urgent: true);
        ValueTask<StoreStatus> mail = Append();
        Settle();
        Assert.True(lost.IsCompleted && behind.IsCompleted);
        Assert.False(IsTrue(lost));
        Assert.Equal(StoreStatus.Stored, Finished(mail));
        Assert.Contains(_log, line => line.Contains(id, StringComparison.Ordinal) && line.Contains("spool_segment_size", StringComparison.Ordinal));
        Restart();
        Assert.Equal(RecipientStatus.Pending, Load(id).States[0].Status);
        Assert.Equal(QueueName.Hold, Load(other).Entry.Queue);
    }

    [Fact]
    public void A_message_whose_oldest_changes_were_given_up_is_saved_and_moved_like_any_other()
    {
        _spool = Restarted(SpoolWorld.Options with { MostRetries = 3 });
        string id = AppendTo(3);
        string gone = AppendTo(1);
        _disk.Fault = static (call, _) => call == DiskCall.Sync ? DiskException.InputOutput : 0;
        Record(new MessageRemoved(gone));
        Record(new RecipientExpanded(id, 2, Members(2)));
        for (int i = 0; i < 10; i++)
        {
            Record(new MessageDeferred(id, _time.GetUtcNow().AddMinutes(i), [new RecipientDelay(0, "4.4.1", $"try {i}")]));
        }

        Assert.Contains(_log, static line => line.Contains("the oldest changes are given up", StringComparison.Ordinal));
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        IndexEntry row = _spool.Index.Entries[id];
        Assert.Equal(0, row.PendingRecords);
        Segment segment = row.Segment!;
        FillSegments();

        Compact();
        Assert.DoesNotContain(segment, _spool.Index.Segments.Values);
        Restart();
        StoredMessage stored = Load(id);
        Assert.Equal("try 9", stored.States[0].DelayReason);
        Assert.Equal(5, stored.Envelope.Recipients.Count);
    }

    [Fact]
    public void A_message_whose_copy_the_disk_refused_is_moved_by_a_later_pass()
    {
        string id = AppendTo(1);
        Segment segment = _spool.Index.Entries[id].Segment!;
        FillSegments();

        _disk.Fault = static (call, _) => call == DiskCall.Sync ? DiskException.InputOutput : 0;
        Compact();
        Assert.Contains(segment, _spool.Index.Segments.Values);
        _disk.Fault = static (_, _) => 0;
        Assert.Equal(StoreStatus.Stored, Settle(Append()));
        Assert.All(_spool.Index.Entries.Values, static row => Assert.Equal(0, row.PendingRecords));
        FillSegments();
        Compact();
        Assert.DoesNotContain(segment, _spool.Index.Segments.Values);
        Assert.Single(Load(id).Envelope.Recipients);
    }

    private static EnvelopeRecipient[] Members(int count) =>
        [.. Enumerable.Range(0, count).Select(static i => new EnvelopeRecipient($"member{i}@lists.example.org", "list@example.org") { Via = "a list" })];

    /// <summary>With messages of which most are gone again, so that winning space back is worth it.</summary>
    private void FillSegments()
    {
        for (int i = 0; i < 300; i++)
        {
            string other = AppendTo(1);
            if (i % 20 != 0)
            {
                Record(new MessageRemoved(other));
            }
        }
    }

    private string AppendTo(int recipients)
    {
        string id = "";
        Assert.Equal(StoreStatus.Stored, Settle(Append(change: envelope =>
        {
            id = envelope.QueueId;
            return SpoolFolder.Message(id, [.. Enumerable.Range(0, recipients).Select(static i => $"r{i}@example.org")]);
        })));
        return id;
    }

    private bool Record(QueueChange change)
    {
        Task<bool> task = _spool.RecordAsync([change], urgent: true);
        Settle();
        Assert.True(task.IsCompleted);
        return IsTrue(task);
    }

    private static bool IsTrue(Task<bool> task) => task.GetAwaiter().GetResult();

    private StoredMessage Load(string id) => _spool.LoadAsync(id, CancellationToken.None).AsTask().GetAwaiter().GetResult()!;

    private void Restart() => _spool = Restarted(SpoolWorld.Options);

    private Server.Queue.Spool.Spool Restarted(SpoolOptions options)
    {
        _disk.Kill();
        _disk.Fault = static (_, _) => 0;
        return Open(options);
    }
}
