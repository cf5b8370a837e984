using Postwright.Core.Logging;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class OperationTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_held_message_is_not_tried_until_it_is_released()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        rig.Start();
        string id = rig.Keep("a@test", "b@one.test");
        MailLog log = rig.Log.For("postsuper");
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Hold, log, Token));
        Assert.False(await rig.Manager.ChangeAsync(id, QueueOperation.Hold, log, Token));
        rig.Manager.Arrived(id);
        rig.Manager.Flush();
        Assert.False(rig.Manager.Flush(id));
        string marker = rig.Send("a@test", "c@two.test");
        await rig.Logged($"{marker}: removed");
        Assert.DoesNotContain(smtp.Requests, request => request.Envelope.QueueId == id);

        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Release, log, Token));
        await rig.Logged($"{id}: removed");
        Assert.Contains($"postfix/postsuper: {id}: placed on hold", rig.Log.All);
        Assert.Contains($"postfix/postsuper: {id}: released from hold", rig.Log.All);
    }

    [Fact]
    public async Task A_message_held_and_released_while_it_is_being_resolved_is_delivered()
    {
        await using QueueRig rig = new();
        TaskCompletionSource tables = new(TaskCreationOptions.RunContinuationsAsynchronously);
        rig.Resolver.Before = tables.Task;
        rig.Transport("smtp");
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => rig.Resolver.Asked == 1);
        MailLog log = rig.Log.For("postsuper");
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Hold, log, Token));
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Release, log, Token));
        tables.SetResult();

        await rig.Logged($"{id}: removed");
    }

    [Fact]
    public async Task A_message_flushed_during_its_delivery_is_not_delivered_again()
    {
        // With room for one active message, the flush comes to it in the turn in which its delivery ends.
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 1 });
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "b@one.test", "c@two.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());

        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        smtp.Before = _ => gate.Task;
        smtp.Answer = (_, recipient) => new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");
        rig.Manager.Flush();
        await rig.Eventually(() => smtp.Requests.Count == 4);
        rig.Manager.Flush();
        await rig.Manager.ListAsync(Token).CountAsync(Token);
        gate.SetResult();
        await rig.Logged($"{id}: removed");
        string marker = rig.Send("a@test", "d@three.test");
        await rig.Logged($"{marker}: removed");
        Assert.Equal(4, smtp.Requests.Count(request => request.Envelope.QueueId == id));
        Assert.Single(rig.Log.All, line => line.Contains($"{id}: removed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_force_expired_message_gets_its_last_attempt_although_the_clock_was_set_back()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        string id = rig.Keep("a@test", "b@one.test");
        rig.Time.AdjustTime(rig.Time.GetUtcNow().AddMinutes(-15));
        rig.Start();
        rig.Manager.Arrived(id);
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.ForceExpire, rig.Log.For("postsuper"), Token));
        await rig.Eventually(TimeSpan.FromMinutes(1), () => rig.Log.All.Any(line => line.Contains("status=force-expired", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_makes_no_message_due_again_at_once()
    {
        WallClock clock = null!;
        await using QueueRig rig = new(clock: time => clock = new WallClock(time));
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        clock.SetBack(TimeSpan.FromMinutes(30));
        string second = rig.Send("a@test", "c@two.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any(change => change.QueueId == second));
        string marker = rig.Send("a@test", "d@three.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any(change => change.QueueId == marker));
        Assert.Single(smtp.Requests, request => request.Envelope.QueueId == second);
    }

    [Fact]
    public async Task A_message_that_stands_in_line_twice_is_not_delivered_again_in_the_turn_in_which_it_ends()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());

        // Asked for again while it is delivered: it is in line once more when the delivery's result arrives.
        smtp.Answer = (_, recipient) =>
        {
            rig.Manager.Flush(id);
            return new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "relay.test[192.0.2.1]:25");
        };
        rig.Manager.Flush(id);
        await rig.Logged($"{id}: removed");
        await rig.Eventually(() => rig.Store.Count == 0);
        string marker = rig.Send("a@test", "c@two.test");
        await rig.Logged($"{marker}: removed");
        Assert.Equal(2, smtp.Requests.Count(request => request.Envelope.QueueId == id));
    }

    [Fact]
    public async Task A_deleted_message_is_gone_even_while_it_waits_in_the_active_queue()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp", new() { ProcessLimit = 1 });
        smtp.Before = _ => gate.Task;
        rig.Start();
        string first = rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        string second = rig.Send("a@test", "b@one.test");
        await rig.Logged($"{second}: from=<a@test>");

        Assert.True(await rig.Manager.ChangeAsync(second, QueueOperation.Delete, rig.Log.For("postsuper"), Token));
        Assert.False(await rig.Manager.ChangeAsync(second, QueueOperation.Delete, rig.Log.For("postsuper"), Token));
        gate.SetResult();
        await rig.Logged($"postfix/qmgr: {first}: removed");
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal(first, smtp.Requests.Single().Envelope.QueueId);
        Assert.DoesNotContain($"postfix/qmgr: {second}: removed", rig.Log.All);
    }

    [Fact]
    public async Task A_message_deleted_during_its_delivery_leaves_nothing_behind()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = _ => gate.Task;
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Delete, rig.Log.For("postsuper"), Token));
        gate.SetResult();
        await rig.Logged("status=deferred");
        string marker = rig.Send("a@test", "c@two.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any(change => change.QueueId == marker));
        Assert.DoesNotContain(rig.Store.Changes, change => change is MessageDeferred && change.QueueId == id);
    }

    [Fact]
    public async Task A_message_held_and_released_during_its_delivery_is_tried_again_after_it()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = request => ReferenceEquals(request, smtp.Requests[0]) ? gate.Task : Task.CompletedTask;
        smtp.Answer = (request, recipient) => ReferenceEquals(request, smtp.Requests[0])
            ? ScriptedAgent.Deferred(recipient.Index)
            : new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "x[192.0.2.1]:25");
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Hold, rig.Log.For("postsuper"), Token));
        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Release, rig.Log.For("postsuper"), Token));
        string marker = rig.Send("a@test", "c@two.test");
        await rig.Logged($"{marker}: from=<a@test>");
        gate.SetResult();
        await rig.Logged($"postfix/qmgr: {id}: removed");
    }

    [Fact]
    public async Task A_requeued_message_goes_through_cleanup_with_the_recipients_that_are_left()
    {
        await using QueueRig rig = new(new QueueManagerOptions { OwnerUid = 4711 });
        ScriptedAgent smtp = rig.Transport("smtp");
        bool up = false;
        smtp.Answer = (_, recipient) => Volatile.Read(ref up) || recipient.Address.StartsWith("ok", StringComparison.Ordinal)
            ? new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "x[192.0.2.1]:25")
            : ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "ok@one.test", "late@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Volatile.Write(ref up, true);

        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Requeue, rig.Log.For("postsuper"), Token));

        await rig.Eventually(() => rig.Store.Count == 0);
        DeliveryRequest last = smtp.Requests[^1];
        Assert.NotEqual(id, last.Envelope.QueueId);
        Assert.Equal(["late@one.test"], last.Recipients.Select(recipient => recipient.Address));
        Assert.Contains($"postfix/postsuper: {id}: requeued", rig.Log.All);
        Assert.Contains($"postfix/pickup: {last.Envelope.QueueId}: uid=4711 from=<a@test> orig_id={id}", rig.Log.All);
    }

    [Fact]
    public async Task A_message_that_cannot_be_requeued_stays()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp").Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string id = rig.Send("a@test", "late@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        rig.Cleanup.Answer = Server.Cleanup.CleanupStatus.NoSpace;
        Assert.False(await rig.Manager.ChangeAsync(id, QueueOperation.Requeue, rig.Log.For("postsuper"), Token));
        Assert.True(rig.Store.TryGetEntry(id, out _));
        Assert.False(await rig.Manager.ChangeAsync("NOSUCH", QueueOperation.Requeue, rig.Log.For("postsuper"), Token));
    }

    [Fact]
    public async Task An_expired_message_is_returned_at_its_next_attempt_without_being_tried()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Answer = (request, recipient) => request.NextHop == "one.test"
            ? ScriptedAgent.Deferred(recipient.Index)
            : new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "x[192.0.2.1]:25");
        rig.Start();
        string id = rig.Send("a@box.test", "late@one.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());

        Assert.True(await rig.Manager.ChangeAsync(id, QueueOperation.Expire, rig.Log.For("postsuper"), Token));
        Assert.True(rig.Manager.Flush(id));

        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Contains($"postfix/qmgr: {id}: from=<a@box.test>, status=force-expired, returned to sender", rig.Log.All);
        Assert.Equal(2, smtp.Requests.Count);
        Assert.Contains("Status: 4.4.1\r\n", smtp.Contents[smtp.Requests[^1].Envelope.QueueId]);
    }

    [Fact]
    public async Task Flush_tries_deferred_mail_at_once_whatever_its_time_and_transport()
    {
        QueueManagerOptions options = new() { DeferTransports = new HashSet<string> { "smtp" } };
        await using QueueRig rig = new(options);
        ScriptedAgent smtp = rig.Transport("smtp");
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Logged($"postfix/error: {id}: to=<b@one.test>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.2, status=deferred (deferred transport)");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Assert.Empty(smtp.Requests);
        rig.Manager.Flush();
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Single(smtp.Requests);
    }

    [Fact]
    public async Task Flush_of_a_site_takes_its_mail_only()
    {
        await using QueueRig rig = new();
        ScriptedAgent smtp = rig.Transport("smtp");
        bool up = false;
        smtp.Answer = (_, recipient) => Volatile.Read(ref up)
            ? new RecipientResult(recipient.Index, DeliveryStatus.Sent, "2.0.0", "ok", "x[192.0.2.1]:25")
            : ScriptedAgent.Deferred(recipient.Index);
        rig.Start();
        string one = rig.Send("a@test", "b@one.test");
        string two = rig.Send("a@test", "b@two.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Count() == 2);
        Volatile.Write(ref up, true);
        await rig.Manager.FlushSiteAsync("ONE.test", Token);
        await rig.Eventually(() => !rig.Store.TryGetEntry(one, out _));
        Assert.True(rig.Store.TryGetEntry(two, out _));
    }

    [Fact]
    public async Task Flush_on_start_tries_what_is_not_due_yet()
    {
        await using QueueRig rig = new(new QueueManagerOptions { FlushOnStart = true });
        rig.Transport("smtp");
        string id = rig.Keep("a@test", "b@one.test");
        await rig.Store.RecordAsync([new MessageDeferred(id, rig.Time.GetUtcNow() + TimeSpan.FromDays(1), [])]);
        rig.Start();
        await rig.Eventually(() => rig.Store.Count == 0);
    }

    [Fact]
    public async Task The_listing_shows_active_incoming_deferred_and_held_mail_in_this_order()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 1 });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = _ => gate.Task;
        string held = rig.Keep("a@test", "b@hold.test");
        string deferred = rig.Keep("a@test", "b@late.test", "c@late.test");
        await rig.Store.RecordAsync(
        [
            new MessageHeld(held), new RecipientsDone(deferred, [0]),
            new MessageDeferred(deferred, rig.Time.GetUtcNow() + TimeSpan.FromDays(1), [new RecipientDelay(1, "4.4.1", "no route")]),
        ]);
        rig.Start();
        string active = rig.Send("a@test", "b@now.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        string incoming = rig.Send("a@test", "b@next.test");

        List<QueueListing> all = [];
        await foreach (QueueListing one in rig.Manager.ListAsync(Token))
        {
            all.Add(one);
        }

        Assert.Equal([active, incoming, deferred, held], all.Select(one => one.Entry.QueueId));
        Assert.Equal([true, false, false, false], all.Select(one => one.IsActive));
        Assert.Equal([new ListedRecipient("c@late.test", "c@late.test", "no route")], all[2].Recipients);
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 2);
    }

    [Fact]
    public async Task A_stop_records_what_was_delivered_and_leaves_the_rest()
    {
        QueueRig rig = new();
        TaskCompletionSource never = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = request => request.NextHop == "slow.test" ? never.Task : Task.CompletedTask;
        rig.Start();
        string id = rig.Send("a@test", "b@slow.test", "c@fast.test");
        await rig.Eventually(() => rig.Store.Changes.OfType<RecipientsDone>().Any());
        await rig.StopAsync();
        Assert.Equal([1], rig.Store.Changes.OfType<RecipientsDone>().Single().Recipients);
        Assert.DoesNotContain(rig.Store.Changes, change => change is MessageDeferred or MessageRemoved);
        Assert.DoesNotContain(rig.Log.All, line => line.Contains("shut down"));
        Assert.True(rig.Store.TryGetEntry(id, out _));
    }

    [Fact]
    public async Task A_stop_gives_back_the_content_of_what_is_in_line()
    {
        QueueRig rig = new();
        TaskCompletionSource never = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { ProcessLimit = 1 });
        smtp.Before = _ => never.Task;
        rig.Start();
        rig.Send("a@test", "b@one.test", "c@two.test");
        await rig.Eventually(() => smtp.Requests.Count == 1);
        rig.Send("a@test", "d@three.test");
        await rig.Eventually(() => rig.Store.Lent == 2);
        await rig.StopAsync();
        Assert.Equal(0, rig.Store.Lent);
    }

    [Fact]
    public async Task An_agent_that_fails_and_a_transport_that_is_not_there_defer_the_mail()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp").Answer = (_, _) => throw new InvalidOperationException("bug");
        rig.Resolver.Routes["else.test"] = new(Server.Route.ResolveStatus.Resolved, Server.Route.AddressClass.Default, "nosuch", "else.test", "");
        rig.Start();
        string one = rig.Send("a@test", "b@one.test");
        string two = rig.Send("a@test", "b@else.test");
        await rig.Logged($"{one}: to=<b@one.test>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.0, status=deferred (unknown mail transport error)");
        await rig.Logged($"postfix/error: {two}: to=<b@else.test>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.0, status=deferred (mail transport unavailable)");
        await rig.Logged("postfix/qmgr: warning: connect to transport private/nosuch: No such file or directory");
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_is_tried_again()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp");
        rig.Store.FailLoads = true;
        rig.Start();
        string id = rig.Send("a@test", "b@one.test");
        await rig.Logged($"{id}: cannot read queue file: Input/output error");
        rig.Store.FailLoads = false;
        await rig.Eventually(TimeSpan.FromSeconds(30), () => rig.Store.Count == 0);
    }

    [Fact]
    public async Task A_message_that_cannot_be_read_while_the_clock_is_set_back_is_tried_again()
    {
        await using QueueRig rig = new();
        rig.Transport("smtp");
        string id = rig.Keep("a@test", "b@one.test");
        rig.Time.AdjustTime(rig.Time.GetUtcNow().AddMinutes(-15));
        rig.Store.FailLoads = true;
        rig.Start();
        await rig.Logged($"{id}: cannot read queue file: Input/output error");
        rig.Store.FailLoads = false;
        await rig.Eventually(TimeSpan.FromSeconds(30), () => rig.Store.Count == 0);
    }
}
