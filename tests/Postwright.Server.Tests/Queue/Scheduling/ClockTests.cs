using Postwright.Server.Queue.Scheduling;
using Postwright.Server.Route;

namespace Postwright.Server.Tests.Queue.Scheduling;

/// <summary>A wall clock that is set back while spans of time are being waited for.</summary>
public sealed class ClockTests
{
    private static readonly TimeSpan HalfAnHour = TimeSpan.FromMinutes(30);

    private WallClock _clock = null!;

    [Fact]
    public async Task A_rate_delay_does_not_grow_when_the_clock_is_set_back()
    {
        await using QueueRig rig = new(clock: Clock);
        TransportLimits limits = new() { ConcurrencyLimit = 1, InitialConcurrency = 1, DestinationRateDelay = TimeSpan.FromSeconds(30), TransportRateDelay = TimeSpan.FromSeconds(5) };
        ScriptedAgent smtp = rig.Transport("smtp", limits);
        rig.Start();
        rig.Send("a@test", "b@paced.test");
        await rig.Eventually(() => rig.Store.Count == 0);

        _clock.SetBack(HalfAnHour);
        long begun = rig.Time.GetTimestamp();
        rig.Send("a@test", "c@paced.test");

        await rig.Eventually(TimeSpan.FromSeconds(1), () => smtp.Requests.Count == 2);
        Assert.InRange(rig.Time.GetElapsedTime(begun), TimeSpan.FromSeconds(28), TimeSpan.FromMinutes(20));
    }

    [Fact]
    public async Task A_dead_destination_is_tried_again_in_time_when_the_clock_was_set_back()
    {
        await using QueueRig rig = new(clock: Clock);
        ScriptedAgent smtp = rig.Transport("smtp", new TransportLimits { InitialConcurrency = 1 });
        smtp.Answer = (_, recipient) => ScriptedAgent.Deferred(recipient.Index, site: true);
        rig.Start();
        rig.Send("a@test", "b@down.test");
        await rig.Logged("to=<b@down.test>");

        _clock.SetBack(HalfAnHour);
        rig.Time.Advance(rig.Options.MinimalBackoff + TimeSpan.FromSeconds(1));
        rig.Send("a@test", "c@down.test");

        await rig.Logged("to=<c@down.test>");
        Assert.DoesNotContain(rig.Log.All, line => line.Contains("to=<c@down.test>") && line.Contains("delivery temporarily suspended"));
    }

    [Fact]
    public async Task A_transport_that_was_missing_is_looked_for_again_in_time_when_the_clock_was_set_back()
    {
        await using QueueRig rig = new(clock: Clock);
        rig.Resolver.Routes["ghost.test"] = new ResolvedAddress(ResolveStatus.Resolved, AddressClass.Default, "ghost", "ghost.test", "");
        rig.Start();
        rig.Send("a@test", "b@ghost.test");
        await rig.Logged("to=<b@ghost.test>");

        rig.Transport("ghost");
        _clock.SetBack(HalfAnHour);
        rig.Time.Advance(rig.Options.TransportRetry + TimeSpan.FromSeconds(1));
        rig.Send("a@test", "c@ghost.test");

        await rig.Logged("to=<c@ghost.test>");
        Assert.Contains(rig.Log.All, line => line.Contains("to=<c@ghost.test>") && line.Contains("status=sent"));
    }

    private WallClock Clock(TimeProvider inner) => _clock = new WallClock(inner);
}
