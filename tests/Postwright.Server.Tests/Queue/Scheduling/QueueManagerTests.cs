using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Route;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class QueueManagerTests
{
    [Fact]
    public async Task A_message_is_delivered_logged_and_removed()
    {
        await using QueueRig rig = new();
        rig.Immediate("discard", new DiscardTransport());
        rig.Resolver.Routes["example.com"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "discard", "thrown away", "");
        rig.Start();

        string id = rig.Send("me@example.org", "you@example.com");

        await rig.Logged($"{id}: removed");
        Assert.Equal(
            [
                $"postfix/qmgr: {id}: from=<me@example.org>, size=20, nrcpt=1 (queue active)",
                $"postfix/discard: {id}: to=<you@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (thrown away)",
                $"postfix/qmgr: {id}: removed",
            ],
            rig.Log.All);
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task Messages_of_an_earlier_life_are_taken_up_at_start()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        string first = rig.Keep("a@test", "b@one.test");
        string second = rig.Keep("a@test", "b@two.test", "c@two.test");
        await rig.Store.RecordAsync([new RecipientsDone(second, [0]), new MessageDeferred(second, rig.Time.GetUtcNow(), [])]);

        rig.Start();

        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal(["c@two.test"], smtp.Requests.Single(request => request.Envelope.QueueId == second).Recipients.Select(r => r.Address));
        Assert.Contains(smtp.Requests, request => request.Envelope.QueueId == first);
    }

    [Fact]
    public async Task A_recipient_that_is_done_is_logged_and_on_record_while_others_of_its_delivery_take_longer()
    {
        await using QueueRig rig = new();
        HalfDone smtp = new();
        rig.Immediate("smtp", smtp);
        rig.Start();

        string id = rig.Send("a@test", "b@one.test", "c@one.test", "d@one.test");

        await rig.Eventually(() => rig.Store.Changes.OfType<RecipientsDone>().Any());
        Assert.Equal([0], rig.Store.Changes.OfType<RecipientsDone>().Single().Recipients);
        Assert.Equal(["b@one.test sent", "c@one.test bounced"], Lines());
        smtp.GoOn.SetResult();
        await rig.Logged($"{id}: removed");
        Assert.Equal(["b@one.test sent", "c@one.test bounced", "d@one.test sent"], Lines());
        Assert.Single(rig.Log.All, line => line.Contains($"{id}: sender non-delivery notification"));

        string[] Lines() => [.. rig.Log.All.Where(line => line.Contains($"{id}: to=<")).Select(static line =>
            line[(line.IndexOf('<') + 1)..line.IndexOf('>')] + " " + line[(line.IndexOf("status=", StringComparison.Ordinal) + 7)..line.IndexOf(" (", StringComparison.Ordinal)])];
    }

    [Fact]
    public async Task What_was_told_early_stands_although_the_delivery_ends_with_an_exception()
    {
        for (int i = 0; i < 50; i++)
        {
            await using QueueRig rig = new();
            HalfDone smtp = new();
            smtp.GoOn.SetException(new IOException("the content cannot be read"));
            rig.Immediate("smtp", smtp);
            rig.Start();

            string id = rig.Send("a@test", "b@one.test", "c@one.test", "d@one.test");

            await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any(change => change.QueueId == id));
            Assert.Equal([0], rig.Store.Changes.OfType<RecipientsDone>().First().Recipients);
            Assert.Equal([2], rig.Store.Changes.OfType<MessageDeferred>().Single(change => change.QueueId == id).Delays.Select(static delay => delay.Recipient));
            Assert.DoesNotContain(rig.Log.All, line => line.Contains($"{id}: to=<b@one.test>") && line.Contains("status=deferred"));
        }
    }

    [Fact]
    public async Task Who_is_done_is_on_record_before_the_notice_for_another_is_made()
    {
        await using QueueRig rig = new();
        TaskCompletionSource made = new(TaskCreationOptions.RunContinuationsAsynchronously);
        rig.Cleanup.Before = made.Task;
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => recipient.Index == 0
            ? new RecipientResult(0, DeliveryStatus.Sent, "2.0.0", "ok", "mx.test[192.0.2.1]:25")
            : new RecipientResult(1, DeliveryStatus.Bounced, "5.1.1", "unknown", "mx.test[192.0.2.1]:25");
        rig.Start();

        string id = rig.Send("a@test", "b@one.test", "c@one.test");

        await rig.Eventually(() => rig.Store.Changes.OfType<RecipientsDone>().Any());
        Assert.Equal([0], rig.Store.Changes.OfType<RecipientsDone>().Single().Recipients);
        Assert.DoesNotContain(rig.Log.All, line => line.Contains($"{id}: removed"));
        made.SetResult();
        await rig.Logged($"{id}: removed");
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: sender non-delivery notification: "));
    }

    [Fact]
    public async Task A_deferred_message_is_tried_again_after_the_backoff()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => smtp.Requests.Count == 1
            ? ScriptedAgent.Deferred(recipient.Index)
            : new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "mx.test[192.0.2.1]:25");
        rig.Start();

        string id = rig.Send("a@test", "b@one.test");

        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        MessageDeferred deferred = rig.Store.Changes.OfType<MessageDeferred>().Single();
        Assert.Equal(rig.Time.GetUtcNow() + rig.Options.MinimalBackoff, deferred.NextAttempt);
        Assert.Equal([new RecipientDelay(0, "4.4.1", "connect to mx.test[192.0.2.1]:25: Connection refused")], deferred.Delays);
        await rig.Eventually(TimeSpan.FromSeconds(30), () => rig.Store.Count == 0);
        Assert.Equal(2, smtp.Requests.Count);
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<b@one.test>, relay=none") && line.EndsWith("status=deferred (connect to mx.test[192.0.2.1]:25: Connection refused)"));
    }

    [Fact]
    public async Task A_timer_that_fires_early_is_set_again()
    {
        TimeSpan brief = TimeSpan.FromMilliseconds(40);
        QueueManagerOptions options = new() { QueueRunDelay = brief, MinimalBackoff = brief, MaximalBackoff = brief };
        await using QueueRig rig = new(options, clock: time => new EarlyClock(time));
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        rig.Send("a@test", "b@one.test");
        await rig.Eventually(TimeSpan.FromMilliseconds(1), () => smtp.Requests.Count >= 5);
    }

    /// <summary>A clock whose timers fire two milliseconds early.</summary>
    private sealed class EarlyClock(TimeProvider inner) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => inner.GetUtcNow();

        public override long TimestampFrequency => inner.TimestampFrequency;

        public override long GetTimestamp() => inner.GetTimestamp();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new EarlyTimer(inner.CreateTimer(callback, state, dueTime, period));

        private sealed class EarlyTimer(ITimer timer) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) =>
                timer.Change(dueTime > TimeSpan.FromMilliseconds(3) ? dueTime - TimeSpan.FromMilliseconds(2) : dueTime, period);

            public void Dispose() => timer.Dispose();

            public ValueTask DisposeAsync() => timer.DisposeAsync();
        }
    }

    /// <summary>Takes the first, refuses the second, and takes its time for the third.</summary>
    private sealed class HalfDone : IDeliveryAgent
    {
        public TaskCompletionSource GoOn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask<IReadOnlyList<RecipientResult>> DeliverAsync(DeliveryRequest request, CancellationToken cancellationToken)
        {
            RecipientResult[] results =
            [
                new(0, DeliveryStatus.Sent, "2.0.0", "ok", "mx.test[192.0.2.1]:25"),
                new(1, DeliveryStatus.Bounced, "5.1.1", "unknown", "mx.test[192.0.2.1]:25"),
                new(2, DeliveryStatus.Sent, "2.0.0", "ok", "mx.test[192.0.2.2]:25"),
            ];
            request.Decided!(results[..2]);
            await GoOn.Task.WaitAsync(cancellationToken);
            return results;
        }
    }
}
