using Postwright.Server.Cleanup;
using Postwright.Server.Deliver;
using Postwright.Server.Queue;
using Postwright.Server.Route;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class ExpansionTests
{
    [Fact]
    public async Task Members_for_the_same_transport_join_the_message_and_others_leave_as_a_new_one()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out ScriptedAgent smtp);
        local.Answer = (_, recipient) => recipient.Address == "list@here.test"
            ? Expanded(recipient, null, [Member("joe", "a=list@here.test"), Member("far@there.test", "a=list@here.test"), Member("jane@here.test", "a=list@here.test")])
            : Sent(recipient);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Eventually(() => rig.Store.Count == 0 && smtp.Requests.Count == 1);
        RecipientExpanded change = rig.Store.Changes.OfType<RecipientExpanded>().Single();
        Assert.Equal(["joe@here.test", "jane@here.test"], change.Into.Select(member => member.Address));
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<joe@here.test>, orig_to=<list@here.test>, relay=local") && line.Contains("status=sent (delivered to mailbox)"));
        string copy = smtp.Requests.Single().Envelope.QueueId;
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<list@here.test>, relay=local") && line.EndsWith($"status=sent (forwarded as {copy})"));
        Assert.StartsWith($"Received: by mx.here.test (Postfix)\r\n\tid {copy}; Mon, 01 Jun 2026 12:00:00 +0000 (UTC)\r\nDelivered-To: list@here.test\r\nSubject: x\r\n", smtp.Contents[copy]);
        Assert.Equal("", smtp.Requests.Single().Recipients.Single().Recipient.Via);
    }

    [Fact]
    public async Task An_owner_becomes_the_sender_of_new_messages()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out ScriptedAgent smtp);
        local.Answer = (_, recipient) => recipient.Address == "list@here.test"
            ? Expanded(recipient, "owner-list@here.test", [Member("joe@here.test", "a=list@here.test"), Member("far@there.test", "a=list@here.test")])
            : Sent(recipient);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Eventually(() => rig.Store.Count == 0 && smtp.Requests.Count == 1 && local.Requests.Count == 2);
        Assert.Equal("owner-list@here.test", smtp.Requests.Single().Envelope.Sender);
        DeliveryRequest toJoe = local.Requests.Single(request => request.Envelope.QueueId != id);
        Assert.Equal("owner-list@here.test", toJoe.Envelope.Sender);
        Assert.Equal("a=list@here.test", toJoe.Recipients.Single().Recipient.Via);
        Assert.DoesNotContain("Delivered-To", local.Contents[toJoe.Envelope.QueueId]);
    }

    [Fact]
    public async Task An_alias_whose_new_message_cannot_be_kept_waits()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out _);
        rig.Cleanup.Answer = CleanupStatus.WriteError;
        local.Answer = (_, recipient) => Expanded(recipient, null, [Member("far@there.test", "a=list@here.test"), Member("joe@here.test", "a=list@here.test")]);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Eventually(() => rig.Store.Changes.OfType<MessageDeferred>().Any());
        Assert.DoesNotContain(rig.Store.Changes, change => change is RecipientExpanded or RecipientsDone or MessageRemoved);
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<list@here.test>") && line.EndsWith("status=deferred (queue file write error)"));
    }

    [Fact]
    public async Task A_part_that_is_durable_is_not_made_again_when_the_next_one_fails()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out ScriptedAgent smtp);
        bool tableFails = true;
        rig.Cleanup.AnswerFor = members => Volatile.Read(ref tableFails) && members.Any(member => member.Address == "far@there.test") ? CleanupStatus.TableError : null;
        local.Answer = (_, recipient) => recipient.Address == "list@here.test"
            ? Expanded(recipient, "owner-list@here.test", [Member("joe@here.test", "a=list@here.test"), Member("far@there.test", "a=list@here.test")])
            : Sent(recipient);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Eventually(TimeSpan.FromMinutes(5), () => rig.Store.Changes.OfType<MessageDeferred>().Count() >= 5);
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "list@here.test"));
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "joe@here.test"));
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<far@there.test>, orig_to=<list@here.test>") && line.EndsWith("status=deferred (queue file write error)"));

        Volatile.Write(ref tableFails, false);
        await rig.Eventually(TimeSpan.FromMinutes(5), () => rig.Store.Count == 0 && smtp.Requests.Count == 1);
        DeliveryRequest toFar = smtp.Requests.Single();
        Assert.Equal("owner-list@here.test", toFar.Envelope.Sender);
        Assert.Equal(("far@there.test", ""), (toFar.Recipients.Single().Address, toFar.Recipients.Single().Recipient.Via));
        Assert.Contains("\r\nDelivered-To: list@here.test\r\nSubject: x\r\n", smtp.Contents[toFar.Envelope.QueueId]);
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "joe@here.test"));
        Assert.Contains(rig.Log.All, line => line.Contains($"{id}: to=<far@there.test>") && line.EndsWith($"status=sent (forwarded as {toFar.Envelope.QueueId})"));
    }

    [Fact]
    public async Task Parts_for_elsewhere_are_made_once_each_without_an_owner_too()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out ScriptedAgent smtp);
        int failures = 4;
        rig.Cleanup.AnswerFor = members => members.Any(member => member.Address == "b@there.test") && Interlocked.Decrement(ref failures) >= 0 ? CleanupStatus.TableError : null;
        local.Answer = (_, recipient) => recipient.Address == "list@here.test"
            ? Expanded(recipient, null, [Member("a@there.test", "a=list@here.test"), Member("b@there.test", "o=list@here.test"), Member("c@there.test", "o=list@here.test"), Member("joe@here.test", "a=list@here.test")])
            : Sent(recipient);
        rig.Start();

        rig.Send("a@test", "list@here.test");

        await rig.Eventually(TimeSpan.FromMinutes(5), () => rig.Store.Count == 0 && smtp.Requests.Count >= 2);
        Assert.Equal(["a@there.test", "b@there.test", "c@there.test"], smtp.Requests.SelectMany(request => request.Recipients).Select(recipient => recipient.Address).Order());
        Assert.All(smtp.Requests, request => Assert.Equal("a@test", request.Envelope.Sender));
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "joe@here.test"));
        Assert.Equal(2, smtp.Requests.Count);
    }

    [Fact]
    public async Task A_stop_between_two_parts_forgets_neither()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out _);
        rig.Cleanup.AnswerFor = members =>
        {
            if (members.All(member => member.Address != "far@there.test"))
            {
                return null;
            }

            _ = rig.StopAsync();
            throw new OperationCanceledException();
        };
        local.Answer = (_, recipient) => Expanded(recipient, "", [Member("joe@here.test", "a=list@here.test"), Member("far@there.test", "a=list@here.test")]);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Eventually(() => rig.Store.Changes.OfType<RecipientExpanded>().Any());
        RecipientExpanded change = rig.Store.Changes.OfType<RecipientExpanded>().Single();
        Assert.Equal((id, 0), (change.QueueId, change.Recipient));
        Assert.Equal(("far@there.test", "p=<> a=list@here.test"), (change.Into.Single().Address, change.Into.Single().Via));
        Assert.DoesNotContain(rig.Store.Changes, change => change is MessageRemoved or MessageDeferred);
    }

    [Fact]
    public async Task A_part_that_cannot_be_made_at_all_is_returned_by_itself()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out ScriptedAgent smtp);
        rig.Cleanup.AnswerFor = members => members.Any(member => member.Address == "far@there.test") ? CleanupStatus.TooManyHops : null;
        local.Answer = (_, recipient) => recipient.Address == "list@here.test"
            ? Expanded(recipient, "owner-list@here.test", [Member("joe@here.test", "a=list@here.test"), Member("far@there.test", "a=list@here.test")])
            : Sent(recipient);
        rig.Start();

        rig.Send("a@test", "list@here.test");

        await rig.Eventually(() => rig.Store.Count == 0 && smtp.Requests.Count == 1);
        Assert.Equal("a@test", smtp.Requests.Single().Recipients.Single().Address);
        Assert.Contains("Final-Recipient: rfc822; far@there.test", smtp.Contents.Values.Single());
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "joe@here.test"));
    }

    [Fact]
    public async Task A_member_whose_route_cannot_be_looked_up_passes_virtual_aliases_like_those_elsewhere()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out _);
        rig.Resolver.Routes["nested.test"] = new ResolvedAddress(ResolveStatus.TemporaryError, AddressClass.Default, "", "", "");
        local.Answer = (_, recipient) => recipient.Address == "list@here.test" && recipient.Recipient.Via.Length == 0
            ? Expanded(recipient, null, [Member("alias@nested.test", "a=list@here.test"), Member("list@here.test", "a=list@here.test m=command")])
            : Sent(recipient);
        rig.Start();

        string id = rig.Send("a@test", "list@here.test");

        await rig.Logged("status=deferred (address resolver failure)");
        RecipientExpanded change = rig.Store.Changes.OfType<RecipientExpanded>().Single();
        Assert.Equal("a=list@here.test m=command", change.Into.Single().Via);
        Assert.DoesNotContain(rig.Log.All, line => line.Contains($"{id}: to=<alias@nested.test>"));
        Assert.Contains(rig.Log.All, line => line.Contains(": to=<alias@nested.test>") && line.EndsWith("status=deferred (address resolver failure)"));
    }

    [Fact]
    public async Task A_member_of_two_nested_lists_gets_one_copy()
    {
        await using QueueRig rig = Rig(out ScriptedAgent local, out _);
        local.Answer = (_, recipient) => recipient.Address switch
        {
            "list@here.test" => Expanded(recipient, null, [Member("one@here.test", "a=list@here.test"), Member("two@here.test", "a=list@here.test")]),
            "one@here.test" => Expanded(recipient, null, [Member("joe@here.test", "a=list@here.test a=one@here.test")]),
            "two@here.test" => Expanded(recipient, null, [Member("joe@here.test", "a=list@here.test a=two@here.test")]),
            _ => Sent(recipient),
        };
        rig.Start();
        rig.Send("a@test", "list@here.test");
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Single(local.Requests, request => request.Recipients.Any(recipient => recipient.Address == "joe@here.test"));
    }

    private static QueueRig Rig(out ScriptedAgent local, out ScriptedAgent smtp)
    {
        QueueRig rig = new();
        local = rig.Transport("local");
        smtp = rig.Transport("smtp");
        rig.Resolver.Routes["here.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Local, "local", "mx.here.test", "");
        return rig;
    }

    private static EnvelopeRecipient Member(string address, string via) => new(address, "list@here.test") { Via = via };

    private static RecipientResult Sent(DeliveryRecipient recipient) => new(recipient.Index, DeliveryStatus.Sent, "2.0.0", "delivered to mailbox", "local");

    private static RecipientResult Expanded(DeliveryRecipient recipient, string? sender, IReadOnlyList<EnvelopeRecipient> into) =>
        new(recipient.Index, DeliveryStatus.Expanded, "2.0.0", "alias expanded", "local") { Into = into, NewSender = sender };
}
