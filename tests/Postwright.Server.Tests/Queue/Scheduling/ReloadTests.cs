using Postwright.Server.Queue;
using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Route;

namespace Postwright.Server.Tests.Queue.Scheduling;

public sealed class ReloadTests
{
    [Fact]
    public async Task A_reload_forgets_nothing_that_waits()
    {
        await using QueueRig rig = new(new QueueManagerOptions { ActiveLimit = 20 });
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = _ => gate.Task;
        rig.Start();
        for (int i = 0; i < 100; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        await rig.Eventually(() => smtp.Requests.Count == 5);
        Reload(rig);
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal(100, smtp.Requests.Count);
    }

    [Fact]
    public async Task Deliveries_that_began_before_a_reload_count_in_the_limits_after_it()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent before = rig.Transport("smtp");
        before.Before = _ => gate.Task;
        rig.Start();
        for (int i = 0; i < 30; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        await rig.Eventually(() => before.Requests.Count == 5);
        ScriptedAgent after = rig.Transport("smtp", new TransportLimits { ProcessLimit = 6 });
        after.Before = request => request.NextHop == "slow.test" ? gate.Task : Task.CompletedTask;
        Reload(rig);
        string fast = rig.Send("a@test", "b@fast.test");
        string faster = rig.Send("a@test", "b@faster.test");
        await rig.Logged($"{fast}: removed");
        await rig.Logged($"{faster}: removed");

        Assert.DoesNotContain(after.Requests, request => request.NextHop == "slow.test");
        Assert.Equal(1, after.MostRunning);
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Equal(5, before.Requests.Count);
        Assert.Equal(27, after.Requests.Count);
        Assert.True(after.MostRunning <= 6);
    }

    [Fact]
    public async Task What_is_in_line_goes_the_new_way_after_a_reload()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent smtp = rig.Transport("smtp");
        smtp.Before = _ => gate.Task;
        ScriptedAgent relay = rig.Transport("relay");
        rig.Start();
        string list = rig.Send("a@test", [.. Enumerable.Range(0, 120).Select(i => $"l{i}@slow.test")]);
        for (int i = 0; i < 20; i++)
        {
            rig.Send("a@test", $"u{i}@slow.test");
        }

        await rig.Eventually(() => smtp.Requests.Count == 5);
        int taken = smtp.Requests.Sum(request => request.Recipients.Count);
        rig.Resolver.Routes["slow.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "relay", "relay.test", "");
        Reload(rig);
        gate.SetResult();
        await rig.Eventually(() => rig.Store.Count == 0);

        Assert.Equal(5, smtp.Requests.Count);
        Assert.Equal(140 - taken, relay.Requests.Sum(request => request.Recipients.Count));
        Assert.All(relay.Requests, request => Assert.Equal("relay.test", request.NextHop));
        await rig.Logged($"{list}: removed");
    }

    [Fact]
    public async Task A_message_whose_recipients_are_being_resolved_goes_the_new_way_after_a_reload()
    {
        await using QueueRig rig = new();
        TaskCompletionSource tables = new(TaskCreationOptions.RunContinuationsAsynchronously);
        rig.Resolver.Before = tables.Task;
        ScriptedAgent smtp = rig.Transport("smtp");
        ScriptedAgent relay = rig.Transport("relay");
        rig.Start();
        rig.Resolver.Routes["there.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "smtp", "there.test", "");
        rig.Send("a@test", "b@there.test");
        await rig.Eventually(() => rig.Resolver.Asked == 1);
        rig.Resolver.Routes["there.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "relay", "relay.test", "");
        Reload(rig);
        tables.SetResult();

        await rig.Eventually(() => rig.Store.Count == 0);
        Assert.Empty(smtp.Requests);
        Assert.Single(relay.Requests);
    }

    [Fact]
    public async Task A_transport_that_a_reload_takes_away_ends_what_it_has_begun()
    {
        await using QueueRig rig = new();
        TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ScriptedAgent gone = rig.Transport("gone");
        gone.Before = _ => gate.Task;
        rig.Resolver.Routes["there.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "gone", "there.test", "");
        rig.Start();
        for (int i = 0; i < 8; i++)
        {
            rig.Send("a@test", $"u{i}@there.test");
        }

        await rig.Eventually(() => gone.Requests.Count == 5);
        rig.RemoveTransport("gone");
        Reload(rig);
        gate.SetResult();

        await rig.Eventually(() => rig.Store.Count == 3);
        await rig.Logged("mail transport unavailable");
        Assert.Equal(5, gone.Requests.Count);
    }

    private static void Reload(QueueRig rig) =>
        rig.Manager.Reload(rig.Options, new() { MyHostName = "new.here.test", MyOrigin = "here.test", DoubleBounceSender = "double-bounce@new.here.test" });
}
