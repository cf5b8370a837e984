using Postwright.Simulation.World;

namespace Postwright.Simulation.Tests;

/// <summary>An orderly end in the middle of something; what must hold then the ledger knows.</summary>
public sealed class StopTests
{
    private static readonly TimeSpan At = TimeSpan.FromMinutes(1);

    [Fact]
    public void In_the_middle_of_a_delivery_to_a_server_that_takes_its_time() => Check(
        Message("ok.m1r1@remote3.example"),
        new PlanItem(2, PlanKind.Peer, At / 2, TimeSpan.FromMinutes(5), Slow(server: 4)),
        new PlanItem(3, PlanKind.Stop, At + TimeSpan.FromSeconds(1), default, 7));

    [Fact]
    public void In_the_middle_of_a_delivery_over_LMTP() => Check(
        Message("ok.m1r1@lmtp.example"),
        new PlanItem(2, PlanKind.Peer, At / 2, TimeSpan.FromMinutes(5), Slow(server: 5)),
        new PlanItem(3, PlanKind.Stop, At + TimeSpan.FromSeconds(1), default, 7));

    [Fact]
    public void In_the_middle_of_a_requeue() => Check(
        Message("defer.m1r1@local.example"),
        new PlanItem(2, PlanKind.SlowDisk, At + TimeSpan.FromSeconds(50), TimeSpan.FromMinutes(5), 5),
        new PlanItem(3, PlanKind.Requeue, At + TimeSpan.FromSeconds(60), default, 0),
        new PlanItem(4, PlanKind.Stop, At + TimeSpan.FromSeconds(60.3), default, 7));

    [Fact]
    public void While_a_client_waits_for_a_name_server() => Check(
        Message("ok.m1r1@local.example"),
        new PlanItem(2, PlanKind.DnsFails, At / 2, TimeSpan.FromMinutes(5), 70),
        new PlanItem(3, PlanKind.Stop, At + TimeSpan.FromSeconds(1), default, 1));

    private static PlanItem Message(string recipient) => new(1, PlanKind.Message, At)
    {
        Message = new MessagePlan(1, 1, "ok.sender1@local.example", [recipient], 500),
    };

    private static int Slow(int server)
    {
        int value = 8 * ((int)PeerMode.SlowAfterDot - 1);
        while (value % 6 != server || value / 8 % (int)PeerMode.NeverEnds != (int)PeerMode.SlowAfterDot - 1)
        {
            value++;
        }

        return value;
    }

    private static void Check(params PlanItem[] items)
    {
        for (ulong seed = 1; seed <= 40; seed++)
        {
            Assert.Null(SeedRun.Of(new Plan(seed, 0, TimeSpan.FromHours(4), items)).Failure);
        }
    }
}
